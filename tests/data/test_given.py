"""Pictures are found in folders and by patterns, and opened a batch at a time."""

import numpy as np
import pytest
from PIL import Image

from mnist_cli.data.datamodule import DigitDataModule
from mnist_cli.data.given import GivenPictures, find_pictures, label_from_name
from mnist_cli.errors import UserError


@pytest.fixture
def folder(tmp_path, monkeypatch, test_digits):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a/b").mkdir(parents=True)
    for name in ("a/2.png", "a/b/1.PNG"):
        Image.fromarray(test_digits[0][1].numpy()).save(tmp_path / name)
    (tmp_path / "a/notes.txt").write_text("no picture")
    return tmp_path


def test_folders_are_searched_to_the_bottom_and_sorted(folder):
    assert [str(path) for path in find_pictures(["a"])] == ["a/2.png", "a/b/1.PNG"]
    assert [str(path) for path in find_pictures(["a/*/*.PNG", "a/2.png"])] == ["a/b/1.PNG", "a/2.png"]


def test_a_file_that_is_named_itself_may_be_called_anything(folder):
    assert [str(path) for path in find_pictures(["a/notes.txt"])] == ["a/notes.txt"]


@pytest.mark.parametrize("sources", [[], ["none.png"], ["a/*.gif"]])
def test_nothing_to_read_is_a_mistake(folder, sources):
    with pytest.raises(UserError, match=r"--data\.images"):
        list(find_pictures(sources))


def test_a_batch_has_ink_indices_and_problems_in_step(folder, test_digits):
    np.save("two.npy", test_digits[0][:2].numpy())
    pictures = GivenPictures(["a/notes.txt", "two.npy"])
    assert pictures.names == ["a/notes.txt", "two.npy[0]", "two.npy[1]"]
    inks, indices, problems = pictures.__getitems__([0, 2])
    assert indices.tolist() == [0, 2]
    assert "not a picture" in problems[0]
    assert problems[1] == ""
    assert inks[1].shape == (28, 28)
    assert 0 <= inks[1].min() <= inks[1].max() == 1


@pytest.mark.parametrize(("name", "label"), [("a/7_anything.png", 7), ("7.png", 7), ("12.png", None), ("x7.png", None)])
def test_a_label_is_the_digit_that_a_name_begins_with(name, label):
    assert label_from_name(name) == label


def test_few_pictures_are_held_at_a_time_however_many_there_are(folder, test_digits):
    np.save("many.npy", test_digits[0][:250].numpy())
    data = DigitDataModule(images="many.npy", eval_batch_size=1000)
    data.setup("predict")
    assert [len(indices) for _, indices, _ in data.predict_dataloader()] == [100, 100, 50]
