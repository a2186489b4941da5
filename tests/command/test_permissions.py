"""What jsonargparse may import and call, and that its settings are afterwards as before."""

from pathlib import Path

import pytest
import torch
from jsonargparse import ArgumentError, ArgumentParser, Namespace, _common, _optionals

from mnist_cli.command.permissions import check_callables, classes_in_arguments, imports_allowed
from mnist_cli.errors import UserError


def test_classes_are_found_in_flags_in_settings_and_in_files_of_settings(tmp_path):
    file = tmp_path / "net.yaml"
    file.write_text("class_path: in_file.Net")
    arguments = ["--model.net=a.B", "--data.augment", "[c.D, {class_path: e.F}]", "--data.data_dir", "my.data"]
    arguments += ["--config", "model: {net: g.H}", "--trainer.callbacks+=i.J", "--model.net", str(file)]
    assert classes_in_arguments(arguments) == {"a.B", "c.D", "e.F", "g.H", "i.J", "in_file.Net"}


def test_what_follows_the_settings_is_not_read_as_settings():
    assert classes_in_arguments(["--config", "model: {net: {class_path: a.B}}", "-e", "5", "other.yaml"]) == {"a.B"}


def test_only_libraries_and_named_packages_are_imported_and_only_meanwhile():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--net", type=torch.nn.Module)
    before = dict(_common.parsing_settings), _optionals._get_config_read_mode()
    with imports_allowed(["zarr.Group"]):
        assert parser.parse_args(["--net=torch.nn.Identity"]).net.class_path == "torch.nn.Identity"
        for path in ("torch.utils.Nothing", "this.s", "os.system", "subprocess.Popen", "jsonargparse.ArgumentParser"):
            with pytest.raises(ArgumentError, match="is not allowed"):
                parser.parse_args([f"--net={path}"])
        with pytest.raises(ArgumentError, match="does not correspond to a subclass of Module"):
            parser.parse_args(["--net=zarr.Group"])
    assert (dict(_common.parsing_settings), _optionals._get_config_read_mode()) == before


def maker() -> torch.nn.Module:
    return torch.nn.Identity()


def test_classes_are_called_and_functions_of_named_packages_and_no_others():
    def config(path):
        return Namespace(model=Namespace(net=Namespace(class_path=path, init_args=Namespace(width=3))))

    check_callables(config("torch.nn.Linear"), [])
    check_callables(config(f"{__name__}.maker"), [f"{__name__}.maker"])
    with pytest.raises(UserError, match="is not a class"):
        check_callables(config(f"{__name__}.maker"), [])
    for path in ("torch.load", "torch.fx.graph_module.reduce_graph_module", "torch.nn.Nothing"):
        with pytest.raises(UserError, match=f"{path} is not a class"):
            check_callables(config(path), [path])
    with pytest.raises(UserError, match="is not a class"):
        check_callables({"callbacks": [{"on_fit_start": torch.load}]}, [])


def test_functions_that_make_torchvision_s_networks_are_called(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    assert mnist("fit", "--model.net", "torchvision.models.resnet18", "--model.net.num_classes=10") == 2
    assert "ResNet does not turn images" in capfd.readouterr().err  # its first layer wants three colours
    assert not Path("lightning_logs/version_0/checkpoints").exists()
