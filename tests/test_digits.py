"""What the classes of each data set are called."""

import pytest
from torchvision.datasets import FashionMNIST

from mnist_cli.data.sources import DATASETS
from mnist_cli.digits import NUM_CLASSES, class_names


@pytest.mark.parametrize("dataset", [*DATASETS, "my_arrays/"])
def test_every_data_set_has_a_name_for_each_class(dataset):
    names = class_names(dataset)
    assert len(set(names)) == len(names) == NUM_CLASSES


def test_clothes_stand_in_the_order_of_their_publisher():
    published = [name.split("/")[0].replace("Ankle boot", "boot").lower() for name in FashionMNIST.classes]
    assert [name.lower() for name in class_names("FashionMNIST")] == published
