"""Reading from Python."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import ROOT, RUN
from PIL import Image

from mnist_cli import DigitModule, load_reader
from mnist_cli.data.ink import PictureError
from mnist_cli.errors import UserError
from mnist_cli.model.networks import MLP
from mnist_cli.use import reader as reading_module


@pytest.fixture
def files(tmp_path, test_digits):
    """Twenty test digits as PNG files, dark on white; with their labels."""
    images, labels = (tensor[:20].numpy() for tensor in test_digits)
    paths = [tmp_path / f"{index}.png" for index in range(20)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(255 - image).resize((200, 200)).save(path)
    return paths, labels


def test_paths_names_images_and_arrays_are_read_alike(reader, files):
    path = files[0][0]
    image = Image.open(path)
    answers = [reader.read(picture) for picture in (path, str(path), image, np.asarray(image))]
    assert len({answer.probability for answer in answers}) == 1
    assert answers[0].digit == files[1][0] == answers[0].probabilities.argmax()
    assert answers[0].probability == answers[0].probabilities.max()
    assert answers[0].probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_a_list_is_read_in_batches_with_the_answers_of_single_pictures(reader, files, monkeypatch):
    paths, labels = files
    monkeypatch.setattr(reading_module, "_BATCH", 7)
    answers = reader.read(paths)
    assert sum(answer.digit == label for answer, label in zip(answers, labels, strict=True)) >= 19
    for path, answer in zip(paths[:8], answers, strict=False):
        assert reader.read(path).probabilities == pytest.approx(answer.probabilities, abs=1e-5)
    assert reader.read([]) == []


def test_a_number_is_read_with_a_note(reader, test_digits):
    one, number = reader.read([test_digits[0][0].numpy(), np.hstack(test_digits[0][:2].numpy())])
    assert (one.note, number.note) == ("", "there seems to be more than one digit")


def test_what_was_seen_is_what_the_answer_was_given_to(reader, files):
    reading = reader.read(files[0][0])
    assert reading.seen.shape == (28, 28)
    assert 0 <= reading.seen.min() < 0.01 < 0.9 < reading.seen.max() <= 1
    logits = reader.network(torch.from_numpy(reading.seen)[None, None])
    assert logits.softmax(1)[0].numpy() == pytest.approx(reading.probabilities, abs=1e-6)


def test_the_reader_says_what_the_module_says_in_lightning(reader, good_run, test_digits):
    file = good_run / RUN / "checkpoints/last.ckpt"
    module = DigitModule.load_from_checkpoint(file).eval()
    images = test_digits[0][:100].unsqueeze(1) / 255
    with torch.no_grad():
        assert torch.equal(reader.network(images), module(images))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_an_error_with_a_sentence(content, reader, tmp_path):
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(PictureError):
        reader.read(tmp_path / "broken.png")
    with pytest.raises(PictureError):
        reader.read([tmp_path / "broken.png"])


def test_a_run_best_last_and_a_file_can_be_loaded(workplace):
    sources = [load_reader().source, load_reader("last").source, load_reader(RUN).source]
    sources.append(load_reader(RUN / "checkpoints/best.ckpt").source)
    assert [source.stem for source in sources] == ["best", "last", "best", "best"]
    assert load_reader("best", root=workplace).title == "MLP trained on MNIST"
    with pytest.raises(UserError, match="there is no such file"):
        load_reader("nowhere")


def test_a_run_of_the_first_version_can_be_loaded():
    assert load_reader(ROOT / "tests/fixtures/run_0.1.0").title == "CNN trained on MNIST"


def test_a_network_that_reads_clothes_reads_no_pictures(reader):
    settings = {**reader.settings, "data": {"dataset": "FashionMNIST"}}
    clothes = reading_module.Reader(reader.network, settings, reader.source)
    with pytest.raises(UserError, match="trained on FashionMNIST"):
        clothes.read(np.zeros((28, 28)))


def test_weights_of_another_network_are_refused(workplace):
    with pytest.raises(UserError, match="another network than MLP"):
        load_reader(net=MLP([7]))


def test_reading_needs_neither_lightning_nor_torchvision(good_run):
    code = (
        "import sys; from mnist_cli import load_reader; load_reader(); "
        "print({'lightning', 'torchvision', 'torchmetrics', 'kornia', 'matplotlib'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=good_run, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")
