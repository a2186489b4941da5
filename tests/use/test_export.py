"""Exported networks say what torch says, or are not written."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from helpers import ROOT
from PIL import Image

from mnist_cli import load_reader
from mnist_cli.__main__ import main
from mnist_cli.data.pictures import read_picture
from mnist_cli.errors import UserError
from mnist_cli.model.trained import TrainedNetwork
from mnist_cli.use import export
from mnist_cli.use.export import Proof, export_onnx, measure
from mnist_cli.use.onnx_file import ImagesForm, OnnxFile, compare_images, write_onnx

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra export")
onnx = pytest.importorskip("onnx", reason="needs the extra export")


@pytest.fixture(scope="module")
def exported(reader, tmp_path_factory):
    """Folder with both ONNX files, proved on a part of the test set."""
    folder = tmp_path_factory.mktemp("exported")
    proof = measure(reader)
    part = Proof(proof.images[:300], proof.logits[:300], 299)
    export_onnx(reader, folder / "digits.onnx", part)
    return folder


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
    with pytest.raises(UserError, match="disagrees with torch at batch size 1: 0 of 20 digits are others"):
        export_onnx(reader, tmp_path / "digits.onnx", Proof(images, logits, 20))
    assert list(tmp_path.iterdir()) == []


def test_a_bias_that_the_exporter_gets_wrong_is_found(reader, tmp_path, test_digits):
    write_onnx(ImagesForm(reader.network), tmp_path / "right.onnx", {})
    model = onnx.load(tmp_path / "right.onnx")
    bias = next(one for one in model.graph.initializer if tuple(one.dims) == (10,))
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.01), bias.name))
    onnx.save(model, tmp_path / "wrong.onnx")
    images = test_digits[0][:20].unsqueeze(1) / 255
    logits = reader.network(images)
    assert compare_images(OnnxFile(tmp_path / "right.onnx"), images, logits, [1, 7]) < 1e-4
    with pytest.raises(UserError, match=r"logits differ by up to 0\.01"):
        compare_images(OnnxFile(tmp_path / "wrong.onnx"), images, logits, [20])


def test_a_file_with_a_fixed_batch_size_is_found(reader, tmp_path, test_digits):
    form = ImagesForm(reader.network).eval()
    program = torch.onnx.export(form, (form.example(),), output_names=form.outputs, dynamo=True, verbose=False)
    program.save(tmp_path / "fixed.onnx")
    images = test_digits[0][:20].unsqueeze(1) / 255
    with pytest.raises(UserError, match="does not run in onnxruntime for shape"):
        compare_images(OnnxFile(tmp_path / "fixed.onnx"), images, reader.network(images), [7])


def test_a_network_that_onnx_cannot_express_says_so(tmp_path):
    class Depends(torch.nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, :10] * (1 if images.sum() > 0 else 2)

    with pytest.raises(UserError, match=r"Depends cannot be exported to ONNX .* --format hub"):
        write_onnx(ImagesForm(TrainedNetwork(Depends())), tmp_path / "x.onnx", {})
    assert not list(tmp_path.iterdir())


def test_a_folder_for_the_hub_is_read_back_with_the_same_answers(good_run, tmp_path, monkeypatch, test_digits, capsys):
    monkeypatch.chdir(good_run)
    assert main(["export", "--format", "hub", "--output", str(tmp_path / "hub")]) == 0
    names = sorted(path.name for path in (tmp_path / "hub").iterdir())
    assert names == ["README.md", "config.json", "model.safetensors"]
    before, again = load_reader(), load_reader(tmp_path / "hub")
    images = test_digits[0].unsqueeze(1)[:100] / 255
    assert torch.equal(before.network(images), again.network(images))
    assert again.title == "CNN trained on MNIST"
    _, front, card = (tmp_path / "hub" / "README.md").read_text().split("---\n", 2)
    settings = yaml.safe_load(front)
    accuracy = measure(before).accuracy
    assert settings["model-index"][0]["results"][0]["metrics"] == [{"type": "accuracy", "value": round(accuracy, 6)}]
    assert f"{100 * accuracy:.2f} % (95 % interval" in card
    assert f"{100 * accuracy:.2f} % (95 % interval" in capsys.readouterr().out
    again_to = tmp_path / "again"
    assert main(["export", "--ckpt_path", str(tmp_path / "hub"), "--format=hub", f"--output={again_to}"]) == 0


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_folder_of_the_hub_is_refused(name, good_run, tmp_path, monkeypatch):
    monkeypatch.chdir(good_run)
    assert main(["export", "--format", "hub", "--output", str(tmp_path / "hub")]) == 0
    file = tmp_path / "hub" / name
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(UserError, match="is damaged"):
        load_reader(tmp_path / "hub")
    (tmp_path / "hub" / "config.json").write_text('{"architectures": ["Bert"]}')
    with pytest.raises(UserError):
        load_reader(tmp_path / "hub")


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
    assert "pip install 'mnist-cli[export]'" in error
    assert [path.name for path in workplace.iterdir()] == ["lightning_logs"]
