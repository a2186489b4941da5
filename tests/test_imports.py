"""Class paths in settings: which are found, which are of libraries, and how the current folder is imported from."""

import sys
from pathlib import Path

import pytest

from mnist_cli.errors import UserError
from mnist_cli.imports import (
    belongs_to,
    check_named,
    classes_in_text,
    foreign,
    import_from_here,
    named_classes,
    packages_of,
)


def test_class_paths_are_found_where_a_class_can_stand_and_nowhere_else():
    settings = {
        "model": {"net": {"class_path": "a.Net", "init_args": {"layers": [{"class_path": "b.c.D"}], "act": "e.f"}}},
        "data": {"augment": ["g.H"], "dataset": "digits.npz", "data_dir": "my.data"},
        "trainer": {"default_root_dir": "my.runs", "callbacks": [{"class_path": "i.J"}]},
        "early_stopping.class_path": "k.L",
        "seed": 1.5,
    }
    assert named_classes(settings) == {"a.Net", "b.c.D", "e.f", "g.H", "i.J", "k.L"}
    assert classes_in_text("[a.B, {class_path: c.d.E}]") == {"a.B", "c.d.E"}


def test_libraries_are_known_by_whole_names():
    paths = ["torch.nn.Linear", "torch.nnn.Linear", "mnist_cli.MLP", "mnist_cliff.MLP", "torch.fx.Graph"]
    assert foreign(paths) == ["mnist_cliff.MLP", "torch.fx.Graph", "torch.nnn.Linear"]
    assert belongs_to("kornia", ["kornia"])


def test_python_s_own_library_is_no_package_to_import_for_settings():
    assert packages_of(["os.system", "my_net.Net", "jsonargparse.ArgumentParser"]) == {"my_net"}


def test_settings_of_unknown_origin_name_libraries_or_what_the_user_names():
    check_named({"net": "torch.nn.Linear"}, "the file")
    check_named({"net": "my_net.Net"}, "the file", {"my_net"})
    with pytest.raises(UserError, match=r"the file: it names my_net\.Net, .* add --trust"):
        check_named({"net": "my_net.Net"}, "the file")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("here_one", "here_two"):
        sys.modules.pop(name, None)


def test_the_current_folder_is_on_the_path_only_meanwhile_and_last(folder):
    Path("here_one.py").write_text("import sys, here_two\npath = list(sys.path)\n")
    Path("here_two.py").write_text("")
    Path("json.py").write_text("1 / 0")
    before = list(sys.path)
    import_from_here(["here_one.Net", "nowhere.Net", "json.Net"])
    assert sys.path == before
    assert sys.modules["here_one"].path == [*before, str(folder)]


def test_a_module_that_fails_is_a_mistake_that_names_it(folder):
    Path("here_one.py").write_text("import not_installed")
    with pytest.raises(UserError, match=r"here_one\.Net: .*No module named 'not_installed'"):
        import_from_here(["here_one.Net"])
    Path("here_two.py").write_text("1 / 0")
    with pytest.raises(UserError, match="division by zero"):
        import_from_here(["here_two.Net"])
