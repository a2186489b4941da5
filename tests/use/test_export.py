"""Exported networks say what torch says, or are not written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import ROOT
from PIL import Image

from mnist_cli.__main__ import main
from mnist_cli.data.pictures import read_picture
from mnist_cli.errors import UserError
from mnist_cli.use import export
from mnist_cli.use.export import Proof, export_onnx

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra export")
onnx = pytest.importorskip("onnx", reason="needs the extra export")


@pytest.fixture(scope="module")
def exported(made_once, reader, test_digits):
    """Folder with both ONNX files, proved on a part of the test set."""

    def export():
        images = test_digits[0][:300].unsqueeze(1) / 255
        export_onnx(reader, Path("digits.onnx"), Proof(images, reader.network(images), 299))

    return made_once("exported", export)


def run_onnx(file, array):
    session = onnxruntime.InferenceSession(file)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: array}), strict=True))


def test_two_files_are_written_and_nothing_else(exported):
    assert sorted(path.name for path in exported.iterdir()) == ["digits-drawing.onnx", "digits.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["cnn", "default"])
def test_the_command_proves_the_files_on_the_whole_test_set(recipe, mnist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", "--config", str(ROOT / f"configs/{recipe}.yaml"), "--test_after_fit=false") == 0
    command = [sys.executable, "-m", "mnist_cli", "export", "--ckpt_path", "best", "--output", "digits.onnx"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "all 10,000 test images at batch sizes 1, 7, 10,000: the same digits, logits within" in done.stdout
    assert "agrees with torch on 1,000 drawings" in done.stdout
    assert "one image: torch" in done.stdout
    assert "10,000 images: torch" in done.stdout


@pytest.mark.parametrize("size", [1, 7, 500])
def test_images_give_the_logits_and_probabilities_of_torch(size, exported, reader, test_digits):
    images = test_digits[0][:size].unsqueeze(1) / 255
    got = run_onnx(exported / "digits.onnx", images.numpy())
    logits = reader.network(images)
    assert got["logits"] == pytest.approx(logits.numpy(), abs=1e-4)
    assert got["probabilities"] == pytest.approx(logits.softmax(1).numpy(), abs=1e-4)


@pytest.mark.parametrize("size", [(28, 28), (100, 60), (300, 500)])
def test_a_drawing_gives_what_the_reader_gives(size, exported, reader, test_digits, tmp_path):
    Image.fromarray(255 - test_digits[0][0].numpy()).resize(size[::-1]).save(tmp_path / "7.png")
    got = run_onnx(exported / "digits-drawing.onnx", read_picture(tmp_path / "7.png"))
    reading = reader.read(tmp_path / "7.png")
    assert got["probabilities"] == pytest.approx(reading.probabilities, abs=1e-4)
    assert got["probabilities"].argmax() == reading.digit
    assert got["seen"] == pytest.approx(reading.seen, abs=1e-4)


@pytest.mark.parametrize("tta", [pytest.param(1, marks=pytest.mark.slow), "affine"])
def test_test_time_augmentation_is_exported(tta, reader, test_digits, tmp_path, monkeypatch, capsys):
    images = test_digits[0][:60].unsqueeze(1) / 255
    plain = reader.network(images)
    monkeypatch.setattr(reader.network, "tta", tta)
    logits = reader.network(images)
    assert not torch.allclose(logits, plain, atol=1e-2)
    correct = int((logits.argmax(1) == test_digits[1][:60]).sum())
    export_onnx(reader, tmp_path / "digits.onnx", Proof(images, logits, correct))
    assert capsys.readouterr().out.count("agrees with torch") == 2


def test_the_file_says_where_it_comes_from(exported, reader):
    for name in ("digits.onnx", "digits-drawing.onnx"):
        model = onnx.load(exported / name)
        onnx.checker.check_model(model)
        found = {entry.key: entry.value for entry in model.metadata_props}
        assert json.loads(found["settings"]) == json.loads(json.dumps(reader.settings))
        low, high = json.loads(found["test_accuracy_interval_95"])
        assert low < json.loads(found["test_accuracy"]) < high
        assert json.loads(found["class_names"]) == [str(digit) for digit in range(10)]
        assert found["version"]


def test_a_file_that_disagrees_with_torch_is_not_written(reader, tmp_path, test_digits):
    images = test_digits[0][:20].unsqueeze(1) / 255
    logits = reader.network(images)
    logits[11, 3] += 0.001
    with pytest.raises(UserError, match="disagrees with torch at batch size 1: 0 of 20 digits differ"):
        export_onnx(reader, tmp_path / "digits.onnx", Proof(images, logits, 20))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--output digits.onnx"),
        (["--output", "digits.pt"], "ends with .onnx"),
        (["--output", "digits.onnx", "--format", "tflite"], "'tflite' cannot be used"),
        (["--output", "digits.onnx", "--ckpt_path", "nowhere"], "there is no such file"),
        (["--output", "lightning_logs/version_0/config.yaml", "--format", "hub"], "this is a file"),
        (["--ouput", "digits.onnx"], "did you mean --output?"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(options, says, workplace, capsys):
    assert main(["export", *options]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("mnist: error: ")
    assert says in error
    assert [path.name for path in workplace.iterdir()] == ["lightning_logs"]


@pytest.mark.parametrize(
    ("missing", "options"), [("onnxscript", []), ("onnxruntime", []), ("safetensors", ["--format", "hub"])]
)
def test_a_package_that_is_missing_is_named_with_its_extra(missing, options, workplace, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setitem(sys.modules, f"{missing}.torch", None)
    monkeypatch.setattr(export, "measure", lambda *_: Proof(torch.zeros(1, 1, 28, 28), torch.zeros(1, 10), 1))
    assert main(["export", "--output", "digits.onnx", *options]) == 2
    error = capsys.readouterr().err
    assert f"{missing} is not installed" in error
    assert "pip install -e '.[export]'" in error
    assert [path.name for path in workplace.iterdir()] == ["lightning_logs"]
