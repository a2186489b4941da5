"""The sheet of the least certain pictures."""

import shutil

import numpy as np
import pytest
from helpers import RUN, rows
from PIL import Image

from mnist_cli.__main__ import main
from mnist_cli.use.contact_sheet import _TILE, _arrange, _tile


@pytest.fixture
def place(good_run, tmp_path, monkeypatch):
    shutil.copytree(good_run / "lightning_logs", tmp_path / "lightning_logs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_least_certain_of_the_test_set_are_shown_first(place, mnist, monkeypatch):
    shown = []
    monkeypatch.setattr("mnist_cli.use.contact_sheet._tile", lambda *tile: shown.append(tile) or _tile(*tile))
    assert mnist("predict", "--contact_sheet.count=7") == 0
    least = sorted(rows(RUN / "predictions.csv"), key=lambda row: float(row["probability"]))[:7]
    assert [name for *_, name in shown] == [row["file"] for row in least]
    assert [answer for *_, answer, _ in shown] == [
        f"{row['digit']}  {100 * float(row['probability']):.1f} %" for row in least
    ]
    with Image.open(RUN / "predictions.png") as sheet:
        assert sheet.width > 300


def test_what_was_given_and_what_was_seen_stand_side_by_side(test_digits):
    seen = test_digits[0][0].numpy() / 255
    tile = np.asarray(_tile(Image.new("RGB", (50, 100), "red"), seen, "7  99.0 %", "7.png").convert("RGB"))
    assert tuple(tile[_TILE // 2, _TILE // 2]) == (255, 0, 0)
    right = tile[:_TILE, _TILE + 4 :, 0] / 255
    small = np.asarray(Image.fromarray((right * 255).astype(np.uint8)).resize((28, 28), Image.Resampling.BOX)) / 255
    assert np.abs(small - seen).mean() < 0.05


@pytest.mark.parametrize("kind", ["I;16", "RGBA", "P"])
def test_a_picture_of_any_kind_is_shown_as_a_person_sees_it(place, test_digits, monkeypatch, kind):
    ink = np.kron(test_digits[0][0].numpy(), np.ones((4, 4), np.uint8))
    if kind == "I;16":
        Image.fromarray((255 - ink).astype(np.uint16) * 257).save("7.png")
    elif kind == "RGBA":  # light ink on nothing
        Image.fromarray(np.dstack([np.full_like(ink, 255)] * 3 + [ink])).save("7.png")
    else:
        Image.fromarray(255 - ink).convert("P").save("7.png")
    shown = []
    monkeypatch.setattr("mnist_cli.use.contact_sheet._tile", lambda *tile: shown.append(tile) or _tile(*tile))
    assert main(["predict", "7.png"]) == 0
    given = np.asarray(shown[0][0].convert("L").resize((112, 112)), float) / 255
    expected = ink / 255 if kind == "RGBA" else 1 - ink / 255
    assert np.abs(given - expected).mean() < 0.05


def test_a_name_that_is_too_long_is_cut_and_says_so(test_digits):
    image = test_digits[0][0].numpy() / 255
    tiles = [
        _tile(Image.new("L", (28, 28)), image, "7", "x" * 500),
        _tile(Image.new("L", (28, 28)), image, "7", "x" * 9),
    ]
    assert tiles[0].size == tiles[1].size
    assert _arrange(tiles * 6).height > _arrange(tiles).height


def test_without_one_picture_that_can_be_read_there_is_no_sheet(place):
    (place / "empty.png").touch()
    assert main(["predict", "empty.png"]) == 1
    assert not (RUN / "predictions.png").exists()


def test_it_can_be_switched_off(place, test_digits):
    Image.fromarray(255 - test_digits[0][0].numpy()).save("7.png")
    assert main(["predict", "7.png", "--contact_sheet=null"]) == 0
    assert not (RUN / "predictions.png").exists()


def test_a_sheet_of_nothing_is_refused(mnist, capfd):
    assert mnist("fit", "--contact_sheet.count=0") == 2
    assert "contact_sheet.count: expected a whole number of at least 1" in capfd.readouterr().err
