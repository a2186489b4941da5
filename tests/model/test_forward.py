"""Images keep their form, ink of any size gets it, and the exported module agrees."""

import pytest
import torch
import torch.nn.functional as F

from mnist_cli.data.sources import read_digits
from mnist_cli.model.forward import Geometry


def enlarged(image, factor=4, sheet=(300, 220), at=(30, 70)):
    """An image, blown up pixel by pixel, on a larger sheet."""
    ink = image.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    return F.pad(ink, (at[1], sheet[1] - at[1] - ink.shape[1], at[0], sheet[0] - at[0] - ink.shape[0]))


def test_mnist_images_stay_as_they_are(test_digits):
    images = test_digits[0].float() / 255
    same = [torch.equal(Geometry()(image)[0, 0], image) for image in images[:2000]]
    assert sum(same) >= 0.99 * len(same)


@pytest.mark.parametrize("index", range(5))
def test_enlarged_and_moved_digits_come_back(test_digits, index):
    image = test_digits[0][index].float() / 255
    found = Geometry()(enlarged(image, sheet=(180, 220), at=(10, 70)))[0, 0]
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]  # MNIST centres by whole pixels
    assert min((found - image.roll(shift, (0, 1))).abs().mean() for shift in shifts) < 0.05
    mass = found.sum()
    rows = (found.sum(1) * (torch.arange(28) + 0.5)).sum() / mass
    columns = (found.sum(0) * (torch.arange(28) + 0.5)).sum() / mass
    assert abs(rows - 14.5) < 0.05
    assert abs(columns - 14.5) < 0.05


def test_the_usual_centre_is_that_of_the_training_digits(data_dir):
    images = read_digits("MNIST", data_dir, train=True)[0].float()
    places = torch.arange(28) + 0.5
    centres = [(images.sum(axis) @ places) / images.sum((1, 2)) for axis in (1, 2)]
    for centre in centres:
        assert centre.mean().item() == pytest.approx(14.5, abs=0.02)
        assert (centre.floor() == 14).float().mean() > 0.998


def test_digits_of_mnists_size_come_back_to_the_pixel_from_anywhere_on_a_sheet(test_digits):
    images = test_digits[0][:500].float() / 255
    same = [torch.equal(Geometry()(enlarged(image, 1, (70, 90), (33, 8)))[0, 0], image) for image in images]
    assert sum(same) >= 0.99 * len(same)


def test_shrinking_averages_areas():
    ink = torch.zeros(100, 100)
    ink[10:90, 40:60] = 1  # 80 x 20 becomes 20 x 5, its middle at 14.5
    image = Geometry()(ink)[0, 0]
    assert image.sum().item() == pytest.approx(100, abs=1e-3)
    assert image[14].tolist() == [0.0] * 12 + [1.0] * 5 + [0.0] * 11


def test_a_digit_that_fills_a_sheet_of_28_pixels_is_made_smaller():
    ink = torch.zeros(28, 28)
    ink[1:27, 12:16] = 1
    used = (Geometry()(ink)[0, 0] > 0.1).any(1).sum()
    assert used in (20, 21)


def test_the_exported_module_agrees_for_every_size(tmp_path, test_digits):
    runtime = pytest.importorskip("onnxruntime")
    example = enlarged(test_digits[0][0].float() / 255)
    sizes = ({0: torch.export.Dim("H"), 1: torch.export.Dim("W")},)
    torch.onnx.export(Geometry().eval(), (example,), tmp_path / "geometry.onnx", dynamo=True, dynamic_shapes=sizes)
    session = runtime.InferenceSession(tmp_path / "geometry.onnx", providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for image in test_digits[0][:20].float() / 255:
        for ink in (image, enlarged(image), enlarged(image, 2, (70, 90), (5, 30))):
            theirs = session.run(None, {name: ink.numpy()})[0]
            assert (torch.from_numpy(theirs) - Geometry()(ink)).abs().max() < 1e-4
