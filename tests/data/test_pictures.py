"""Pictures are found; every kind gives the same ink; and what is no picture of a digit says why."""

import numpy as np
import pytest
from PIL import Image

from mnist_cli.data.datamodule import DigitDataModule
from mnist_cli.data.ink import PictureError
from mnist_cli.data.pictures import GivenPictures, find_pictures, label_from_name, read_picture
from mnist_cli.errors import UserError


@pytest.fixture(scope="module")
def digit(test_digits):
    """A seven, dark on white, uint8, shape (112, 112)."""
    image = Image.fromarray(test_digits[0][0].numpy()).resize((112, 112), Image.Resampling.BICUBIC)
    return 255 - np.asarray(image)


def as_mode(digit, mode):
    grey = Image.fromarray(digit)
    if mode == "I;16":
        return Image.fromarray(digit.astype(np.uint16) * 257)
    if mode == "RGBA":  # black ink on nothing
        return Image.merge("RGBA", [*[Image.new("L", grey.size)] * 3, Image.fromarray(255 - digit)])
    if mode == "LA":  # white ink on nothing
        return Image.merge("LA", [Image.new("L", grey.size, 255), Image.fromarray(255 - digit)])
    return grey.convert("RGB").convert(mode)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_gives_the_same_ink(tmp_path, digit, mode):
    file = tmp_path / ("digit.tif" if mode == "CMYK" else "digit.png")
    as_mode(digit, mode).save(file)
    ink = read_picture(file)
    assert ink.dtype == np.float32
    assert np.abs(ink - (1 - digit / 255.0)).mean() < 0.02


def test_a_picture_of_black_and_white_alone_is_read(tmp_path, digit):
    Image.fromarray(digit).point(lambda value: 255 * (value > 127), "1").save(tmp_path / "bits.png")
    assert np.array_equal(read_picture(tmp_path / "bits.png"), digit <= 127)


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "gif", "tiff", "webp"])
def test_every_kind_of_file_gives_the_same_ink(tmp_path, digit, kind):
    Image.fromarray(digit).save(tmp_path / f"digit.{kind}")
    assert np.abs(read_picture(tmp_path / f"digit.{kind}") - (1 - digit / 255.0)).mean() < 0.02


def test_dark_on_light_and_light_on_dark_are_the_same_ink(digit):
    assert np.allclose(read_picture(digit), read_picture(255 - digit), atol=0.02)


def test_the_rotation_that_a_phone_notes_is_applied(tmp_path, digit):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(digit)).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    assert np.abs(read_picture(tmp_path / "turned.jpg") - read_picture(digit)).mean() < 0.03


def test_a_shadow_and_the_colour_of_the_paper_are_no_ink(digit):
    ink = 1 - digit[..., None] / 255.0
    light = np.linspace(1, 0.5, 112)[None, :, None]
    photo = ((np.array([250, 240, 170]) * (1 - ink) + np.array([30, 40, 120]) * ink) * light).astype(np.uint8)
    found = read_picture(photo)
    assert np.abs(found - read_picture(digit)).mean() < 0.05
    assert not found[:5].any()


def test_a_neighbour_at_the_border_and_a_speck_are_dropped(digit):
    busy = digit.copy()
    busy[40:70, :6] = 0
    busy[100:102, 100:102] = 0
    assert np.abs(read_picture(busy) - read_picture(digit)).mean() < 0.005
    assert not read_picture(busy)[40:70, :6].any()
    assert not read_picture(busy)[100:102, 100:102].any()


def test_grey_lines_of_one_pixel_become_strokes_of_a_pen():
    sheet = np.full((28, 28), 255, np.uint8)
    sheet[3:25, 14] = 150
    ink = read_picture(sheet)
    assert ink.max() == 1
    height, width = (np.ptp(np.flatnonzero((ink > 0.5).any(axis))) + 1 for axis in (1, 0))
    assert 7 < height / width < 12  # 20 to 2.5, and the round ends


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"no picture", "not a picture of a known kind"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "cannot be read|not a picture"),
    ],
)
def test_a_file_that_is_no_picture_says_so(tmp_path, content, problem):
    (tmp_path / "file.png").write_bytes(content)
    with pytest.raises(PictureError, match=problem):
        read_picture(tmp_path / "file.png")


def test_a_cut_file_says_so(tmp_path, digit):
    Image.fromarray(digit).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:300])
    with pytest.raises(PictureError, match="cannot be read"):
        read_picture(tmp_path / "cut.png")


def test_a_missing_file_and_a_folder_say_so(tmp_path):
    with pytest.raises(PictureError, match="there is no file"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(PictureError, match="cannot be read"):
        read_picture(tmp_path)


@pytest.mark.parametrize("brightness", [0, 128, 255])
def test_one_colour_is_no_digit(brightness):
    with pytest.raises(PictureError, match="nothing on it but one colour"):
        read_picture(np.full((40, 40), brightness, np.uint8))


def test_a_picture_of_too_many_pixels_is_not_unpacked(tmp_path):
    Image.new("1", (12_000, 12_000)).save(tmp_path / "bomb.png")
    with pytest.raises(PictureError, match="too many pixels"):
        read_picture(tmp_path / "bomb.png")


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2), (0, 5), (1, 2, 3, 4)])
def test_an_array_that_is_no_picture_is_refused(shape):
    with pytest.raises(PictureError, match="is not a picture"):
        read_picture(np.zeros(shape, np.uint8))


def test_an_array_with_values_out_of_range_is_refused():
    with pytest.raises(PictureError, match="values"):
        read_picture(np.full((9, 9), np.nan))
    with pytest.raises(PictureError, match="values"):
        read_picture(np.full((9, 9), 300))


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


def test_a_batch_has_ink_indices_problems_and_doubts_in_step(folder, test_digits):
    np.save("two.npy", test_digits[0][:2].numpy())
    Image.fromarray(np.hstack(255 - test_digits[0][:2].numpy())).save("72.png")
    pictures = GivenPictures(["a/notes.txt", "two.npy", "72.png"])
    assert pictures.names == ["a/notes.txt", "two.npy[0]", "two.npy[1]", "72.png"]
    inks, indices, problems, doubts = pictures.__getitems__([0, 2, 3])
    assert indices.tolist() == [0, 2, 3]
    assert "not a picture" in problems[0]
    assert problems[1:] == ["", ""]
    assert doubts == ["", "", "there seems to be more than one digit"]
    assert inks[1].shape == (28, 28)
    assert 0 <= inks[1].min() <= inks[1].max() == 1


@pytest.mark.parametrize(("name", "label"), [("a/7_anything.png", 7), ("7.png", 7), ("12.png", None), ("x7.png", None)])
def test_a_label_is_the_digit_that_a_name_begins_with(name, label):
    assert label_from_name(name) == label


def test_few_pictures_are_held_at_a_time_however_many_there_are(folder, test_digits):
    np.save("many.npy", test_digits[0][:250].numpy())
    data = DigitDataModule(images="many.npy", eval_batch_size=1000)
    data.setup("predict")
    assert [len(indices) for _, indices, *_ in data.predict_dataloader()] == [100, 100, 50]


def test_what_a_pattern_finds_twice_is_read_once(folder):
    assert [str(path) for path in find_pictures(["**"])] == ["a/2.png", "a/b/1.PNG", "a/notes.txt"]


def test_a_picture_with_values_that_are_no_numbers_says_so(tmp_path):
    values = np.full((28, 28), np.nan, np.float32)
    Image.fromarray(values).save(tmp_path / "nan.tif")
    with pytest.raises(PictureError, match="are not numbers"):
        read_picture(tmp_path / "nan.tif")
