"""`mnist predict` on files, folders and patterns, through the front door."""

import csv
import io
import os
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import RUN, rows
from PIL import Image, ImageOps

from mnist_cli.__main__ import main
from mnist_cli.use.predictions import PredictionWriter


@pytest.fixture
def pictures(good_run, tmp_path, monkeypatch, test_digits):
    """A copy of the run, and ten test digits as enlarged pictures, named by their labels."""
    shutil.copytree(good_run / "lightning_logs", tmp_path / "lightning_logs")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans/more").mkdir(parents=True)
    for index, (image, label) in enumerate(zip(test_digits[0][:10].numpy(), test_digits[1][:10].tolist(), strict=True)):
        folder = tmp_path / ("scans/more" if index % 2 else "scans")
        Image.fromarray(255 - image).resize((90, 90)).save(folder / f"{label}_{index}.png")
    return tmp_path


def test_a_folder_is_read_with_all_below_it_and_labels_come_from_the_names(pictures, capsys):
    assert main(["predict", "scans", "--data.labels_from_name=true"]) == 0
    table = rows(RUN / "predictions.csv")
    assert len(table) == 10
    assert [row["digit"] for row in table] == [row["file"].rpartition("/")[2][0] for row in table]
    assert all(0 < float(row["probability"]) <= 1 and not row["note"] for row in table)
    assert "accuracy 100.00 % (95 % interval 72.25 to 100.00), 10 of 10" in capsys.readouterr().out


def test_a_picture_that_cannot_be_read_has_a_reason_and_the_others_are_answered(pictures, capsys):
    (pictures / "scans/3_empty.png").touch()
    (pictures / "scans/4_text.png").write_text("hello")
    assert main(["predict", "scans/*.png"]) == 1
    assert "5 predictions are in " in (said := capsys.readouterr().out)
    assert "2 pictures cannot be read" in said
    assert main(["predict", "scans/7_0.png"]) == 0
    assert "1 prediction is in " in capsys.readouterr().out
    assert main(["predict", "scans/*.png"]) == 1
    notes = {row["file"]: row["note"] for row in rows(RUN / "predictions.csv")}
    assert len(notes) == 7
    assert notes.pop("scans/3_empty.png") == "the file is empty."
    assert "not a picture" in notes.pop("scans/4_text.png")
    assert not any(notes.values())


def test_a_picture_of_a_number_is_answered_with_a_doubt(pictures, test_digits, capsys):
    Image.fromarray(np.hstack(255 - test_digits[0][:2].numpy())).save("scans/72.png")
    assert main(["predict", "scans"]) == 0
    assert "1 picture seems to hold more than one digit; see the column note" in capsys.readouterr().out
    table = {row["file"]: row for row in rows(RUN / "predictions.csv")}
    number = table.pop("scans/72.png")
    assert number["digit"].isdecimal()
    assert number["note"] == "there seems to be more than one digit"
    assert len(table) == 10
    assert not any(row["note"] for row in table.values())


def test_a_numpy_file_that_cannot_be_read_has_a_reason_too(pictures):
    np.save("scans/bad.npy", np.zeros((3, 5, 5)))
    assert main(["predict", "scans"]) == 1
    notes = {row["file"]: row["note"] for row in rows(RUN / "predictions.csv")}
    assert "shape (3, 5, 5) is not" in notes.pop("scans/bad.npy")
    assert len(notes) == 10
    assert not any(notes.values())


def test_rows_go_to_standard_output_and_nothing_else_does(pictures, capsys):
    files = sorted(str(file) for file in (pictures / "scans").glob("*.png"))
    assert main(["predict", *files, "--predictions.path=-"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["file"] for row in table] == files


def test_one_image_and_images_of_bits_in_a_numpy_file_are_read(pictures, test_digits):
    np.save("one.npy", test_digits[0][0].numpy())
    np.save("bits.npy", test_digits[0][:3, ..., None].numpy() > 127)
    assert main(["predict", "one.npy", "bits.npy"]) == 0
    table = rows(RUN / "predictions.csv")
    assert [row["file"] for row in table] == ["one.npy", "bits.npy[0]", "bits.npy[1]", "bits.npy[2]"]
    assert [row["digit"] for row in table] == [str(label) for label in (7, *test_digits[1][:3].tolist())]


@pytest.mark.parametrize("wanted", ["", "none.png", "none/*.png", "lightning_logs/version_0/checkpoints"])
def test_a_place_without_pictures_is_a_mistake_in_one_sentence(pictures, capsys, wanted):
    assert main(["predict", wanted]) == 2
    assert f"--data.images: {'there is no file ' if wanted == 'none.png' else ''}" in capsys.readouterr().err


def test_the_true_label_stands_where_it_is_known(pictures, test_digits):
    assert main(["predict", "--trainer.limit_predict_batches=1"]) == 0
    table = rows(RUN / "predictions.csv")
    assert [int(row["label"]) for row in table] == test_digits[1][:1000].tolist()
    assert main(["predict", "scans", "--data.labels_from_name=true"]) == 0
    table = rows(RUN / "predictions.csv")
    assert [row["label"] for row in table] == [row["file"].rpartition("/")[2][0] for row in table]
    assert main(["predict", "scans"]) == 0
    assert {row["label"] for row in rows(RUN / "predictions.csv")} == {""}


def test_a_name_that_is_no_text_stands_in_the_table_as_it_is(pictures):
    (pictures / "scans/7_0.png").rename(os.fsdecode(b"scans/7_\xff.png"))
    assert main(["predict", "scans"]) == 0
    assert b"\nscans/7_\xff.png,7," in (RUN / "predictions.csv").read_bytes()


def test_two_commands_at_once_leave_the_whole_table_of_one(pictures, monkeypatch):
    write, second = PredictionWriter._write, []

    def interrupted(writer, trainer, batch):
        if not second:
            second.append(True)
            assert main(["predict", "scans/more"]) == 0
            assert len(rows(RUN / "predictions.csv")) == 5
        write(writer, trainer, batch)

    monkeypatch.setattr(PredictionWriter, "_write", interrupted)
    assert main(["predict", "scans"]) == 0
    assert len(rows(RUN / "predictions.csv")) == 10


def test_a_decoder_that_stumbles_says_so_and_the_others_are_answered(pictures, monkeypatch):
    def stumble(image):
        if image.filename.endswith("7_0.png"):
            raise struct.error("required argument is not an integer")
        return image

    monkeypatch.setattr(ImageOps, "exif_transpose", stumble)
    assert main(["predict", "scans"]) == 1
    notes = [row["note"] for row in rows(RUN / "predictions.csv") if row["note"]]
    assert notes == ["the picture cannot be read (required argument is not an integer)."]


def test_names_that_are_no_text_go_to_a_strict_standard_output_too(pictures, monkeypatch):
    (pictures / "scans/7_0.png").rename(os.fsdecode(b"scans/7_\xff.png"))
    Path("out.csv").write_text("before\n")
    with io.TextIOWrapper(Path("out.csv").open("ab"), encoding="utf-8", errors="strict") as out:
        monkeypatch.setattr(sys, "stdout", out)
        # As the path - does, it leaves what the output holds, and the report goes elsewhere.
        assert main(["predict", "scans", "--predictions.path=/dev/stdout"]) == 0
        assert out.errors == "strict"
    lines = Path("out.csv").read_bytes().splitlines()
    assert lines[0] == b"before"
    assert len(lines) == 12
    assert any(line.startswith(b"scans/7_\xff.png,7,") for line in lines)


def test_where_no_picture_could_be_read_no_sheet_of_others_stays(pictures):
    (pictures / "scans/4_text.png").write_text("hello")
    assert main(["predict", "scans/7_0.png"]) == 0
    assert (RUN / "predictions.png").is_file()
    assert main(["predict", "scans/4_text.png"]) == 1
    assert not (RUN / "predictions.png").exists()
