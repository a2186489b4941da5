"""A folder for the Hub: read back with the same answers, refused when it is damaged."""

import pytest
import torch
import yaml
from helpers import BARE, QUICK

from mnist_cli import load_reader
from mnist_cli.__main__ import main
from mnist_cli.errors import UserError
from mnist_cli.use.export import export_hub, measure
from mnist_cli.use.hub import model_card

pytest.importorskip("safetensors", reason="needs the extra export")


def test_a_folder_for_the_hub_is_read_back_with_the_same_answers(good_run, tmp_path, monkeypatch, test_digits, capsys):
    monkeypatch.chdir(good_run)
    assert main(["export", "--format", "hub", "--output", str(tmp_path / "hub")]) == 0
    assert "tta" not in (tmp_path / "hub" / "README.md").read_text()
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


def test_the_card_says_that_an_answer_is_a_mean_over_views(good_run, tmp_path, monkeypatch):
    monkeypatch.chdir(good_run)
    reader = load_reader()
    monkeypatch.setitem(reader.settings["model"], "tta", "affine")
    monkeypatch.setattr(reader.network, "tta", "affine")
    export_hub(reader, tmp_path / "hub", measure(reader))
    assert (
        "the mean over an image and four others of the same digit (`tta: affine`)"
        in (tmp_path / "hub/README.md").read_text()
    )


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


def test_a_network_of_ones_own_is_exported_and_a_card_of_other_images_does_not_speak_of_digits(
    data_dir, tmp_path, monkeypatch, mnist
):
    monkeypatch.chdir(tmp_path)
    code = "from torch import nn\nclass Own(nn.Sequential):\n    def __init__(self):\n"
    (tmp_path / "own_net.py").write_text(f"{code}        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert mnist("fit", *QUICK, *BARE, "--model.net=own_net.Own", "--test_after_fit=false") == 0
    assert main(["export", "--format=hub", "--output=hub"]) == 0
    assert "Reads handwritten digits" in (tmp_path / "hub/README.md").read_text()
    config = {"data": {"dataset": "FashionMNIST"}, "model": {}}
    card = model_card(title="CNN", figures={}, config=config, accuracy=0.9)
    assert "Reads images like those of FashionMNIST" in card
    assert "reader.read(" not in card
    assert "digits" not in card
