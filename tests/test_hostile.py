"""Checkpoints and settings of a stranger: nothing in them runs, is fetched or is written, and a sentence says why.

Each test holds an attack that worked, or the honest use beside it that has to keep working.
"""

import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers import QUICK, RUN

from mnist_cli import load_reader
from mnist_cli.errors import UserError

PWN = "open('pwned', 'w').close()\n"
# A function of torch that compiles the text that it is given; its annotation says that it returns a Module.
CALL = {
    "class_path": "torch.fx.graph_module.reduce_graph_module",
    "init_args": {"body": {"_code": "forward=lambda self:None"}, "import_block": PWN},
}
OWN_NET = """
from torch import nn
open('imported', 'w').close()
class MyNet(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10))
def make_net() -> nn.Module:
    return MyNet()
"""
COMMANDS = ["test", "fit", "export"]  # validate and predict take the same path as test


def stranger(name="stranger.ckpt", **changes):
    """A checkpoint that lies alone, with other settings in a group of them."""
    content = torch.load(RUN / "checkpoints/best.ckpt", weights_only=True)
    for group, settings in changes.items():
        content[group] |= settings
    torch.save(content, name)
    return name


def refuse(mnist, capfd, command, *options, says):
    """The command ends with status 2 and one line, which says so, and the attack has left nothing."""
    more = {"fit": ["--trainer.max_epochs=3", *QUICK[2:]], "export": ["--output", "out.onnx"]}.get(command, [])
    assert mnist(command, *options, *more) == 2
    error = capfd.readouterr().err
    assert says in error
    line = error.splitlines()[-1]
    assert line.startswith("mnist: error: ")
    assert "Traceback" not in error
    assert not Path("pwned").exists()
    assert not Path("imported").exists()
    return line


@pytest.fixture
def no_data_dir(monkeypatch):
    """The command as it is typed, without the tests' own --data.data_dir."""
    from mnist_cli.__main__ import main

    monkeypatch.setattr(sys, "argv", ["mnist"])
    return lambda *args: main(list(args))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_function_that_a_checkpoint_names_as_its_network_is_not_called(workplace, no_data_dir, capfd, command):
    file = stranger(hyper_parameters={"net": CALL})
    refuse(no_data_dir, capfd, command, "--ckpt_path", file, says="reduce_graph_module")


def test_a_function_is_not_called_where_the_checkpoint_is_trusted_either(workplace, mnist, capfd):
    file = stranger(hyper_parameters={"net": CALL})
    refuse(mnist, capfd, "test", "--trust", "--ckpt_path", file, says="functions of libraries are not called")
    with pytest.raises(UserError, match=r"not a torch\.nn\.Module"):
        load_reader(file, trust=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"data": {"augment": [CALL]}},
        {"model": {"net": CALL}},
        {"model": {"net": {"class_path": "torch.nn.TransformerEncoder", "init_args": {"encoder_layer": CALL}}}},
        {"model": {"optimizer": CALL}},
        {
            "model": {
                "lr_scheduler": {"class_path": "torch.optim.lr_scheduler.LambdaLR", "init_args": {"lr_lambda": CALL}}
            }
        },
        {"trainer": {"callbacks": [CALL]}},
        {"trainer": {"logger": [CALL]}},
        {"trainer": {"plugins": [CALL]}},
        {"trainer": {"profiler": CALL}},
        {"early_stopping": CALL},
        {"trainer": {"callbacks": [{"class_path": "LambdaCallback", "init_args": {"on_fit_start": CALL}}]}},
        {"trainer": {"callbacks": [{"class_path": "Timer", "init_args": {"duration": CALL}}]}},
    ],
)
def test_a_function_is_not_called_wherever_settings_name_it(workplace, mnist, capfd, settings):
    Path("mine.yaml").write_text(yaml.safe_dump(settings))
    refuse(mnist, capfd, "fit", "--config", "mine.yaml", says="")


def test_a_function_is_not_called_because_a_run_from_elsewhere_names_it(workplace, mnist, capfd):
    Path("theirs").mkdir()
    run = Path("lightning_logs").rename("theirs/lightning_logs") / "version_0"
    whole = yaml.safe_load((run / "config.yaml").read_text())
    whole["trainer"]["callbacks"] = [CALL]
    (run / "config.yaml").write_text(yaml.safe_dump(whole))
    refuse(mnist, capfd, "fit", "--ckpt_path", str(run), says="it names torch.fx.graph_module.reduce_graph_module")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_module_in_the_current_folder_is_not_imported_because_a_checkpoint_names_it(
    workplace, no_data_dir, capfd, command
):
    Path("evil_net.py").write_text(OWN_NET)
    for net in ({"class_path": "evil_net.MyNet"}, "evil_net.MyNet", {"class_path": "evil_net.make_net"}):
        file = stranger(hyper_parameters={"net": net})
        line = refuse(
            no_data_dir, capfd, command, "--ckpt_path", file, says="evil_net.m" if "make" in str(net) else "MyNet"
        )
        assert "add --trust" in line or isinstance(net, str)


def test_a_module_that_a_checkpoint_names_inside_of_arguments_is_not_imported(workplace, mnist, capfd):
    Path("evil_net.py").write_text(OWN_NET)
    inner = {"class_path": "torch.nn.TransformerEncoder", "init_args": {"encoder_layer": "evil_net.MyNet"}}
    for group, settings in [
        ("hyper_parameters", {"net": inner}),
        ("hyper_parameters", {"optimizer": {"class_path": "evil_net.MyNet"}}),
        ("datamodule_hyper_parameters", {"augment": [{"class_path": "evil_net.MyNet"}]}),
    ]:
        file = stranger(**{group: settings})
        refuse(mnist, capfd, "test", "--ckpt_path", file, says="it names evil_net.MyNet")


@pytest.fixture
def own_run(tmp_path, monkeypatch, mnist):
    """A run of a network from the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("own_net.py").write_text(OWN_NET)
    yield mnist("fit", "--model.net", "own_net.MyNet", *QUICK, "--test_after_fit=false", "--figures=null")
    sys.modules.pop("own_net", None)


def test_a_network_of_ones_own_is_found_again_in_its_run_and_needs_trust_elsewhere(own_run, mnist, capfd):
    assert own_run == 0
    before = list(sys.path)
    test = ["test", "--figures=null", "--trainer.limit_test_batches=1"]
    assert mnist(*test, "--ckpt_path", "best") == 0
    assert load_reader("best").title.startswith("MyNet")
    Path("alone.ckpt").write_bytes((RUN / "checkpoints/best.ckpt").read_bytes())
    sys.modules.pop("own_net", None)
    Path("imported").unlink()
    line = refuse(mnist, capfd, *test, "--ckpt_path", "alone.ckpt", says="it names own_net.MyNet")
    assert line.endswith("add --trust.")
    assert mnist(*test, "--ckpt_path", "alone.ckpt", "--trust") == 0
    assert mnist(*test, "--ckpt_path", "alone.ckpt", "--model.net", "own_net.MyNet") == 0
    with pytest.raises(UserError, match="own_net"):
        load_reader("alone.ckpt")
    assert load_reader("alone.ckpt", trust=True).title.startswith("MyNet")
    assert sys.path == before


def test_a_function_of_ones_own_that_makes_a_network_is_called(tmp_path, monkeypatch, mnist):
    monkeypatch.chdir(tmp_path)
    Path("makers.py").write_text(OWN_NET)
    Path("mine.yaml").write_text("model: {net: {class_path: makers.make_net}}")
    options = ["--trainer.fast_dev_run=true", "--trainer.enable_progress_bar=false"]
    assert mnist("fit", "--config", "mine.yaml", *options) == 0
    assert Path("imported").exists()


@pytest.fixture
def web():
    """A server that counts what is fetched from it."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = b"class_path: mnist_cli.MLP\n"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/net.yaml", asked
    server.shutdown()
    server.server_close()


def test_nothing_is_fetched_because_settings_name_an_address(workplace, mnist, capfd, web):
    address, asked = web
    file = stranger(hyper_parameters={"net": address})
    refuse(mnist, capfd, "test", "--ckpt_path", file, says=address)
    Path("mine.yaml").write_text(yaml.safe_dump({"model": {"net": address}}))
    refuse(mnist, capfd, "fit", "--config", "mine.yaml", says=address)
    refuse(mnist, capfd, "fit", "--model.net", address, says=address)
    refuse(mnist, capfd, "fit", "--config", address, says=address)
    assert asked == []


def test_a_checkpoint_does_not_say_where_data_are_written(workplace, no_data_dir, monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    file = stranger(datamodule_hyper_parameters={"data_dir": str(elsewhere)})
    options = ["--figures=null", "--trainer.limit_test_batches=1", "--trainer.enable_progress_bar=false"]
    assert no_data_dir("test", "--ckpt_path", file, *options) == 0
    assert not elsewhere.exists()
    assert Path("data/MNIST/raw").is_dir()
    assert "data_dir" not in load_reader(file).settings["data"]


def test_data_that_are_there_are_read_from_where_a_checkpoint_says(workplace, no_data_dir, data_dir):
    Path("alone.ckpt").write_bytes((RUN / "checkpoints/best.ckpt").read_bytes())
    options = ["--figures=null", "--trainer.limit_test_batches=1", "--trainer.enable_progress_bar=false"]
    assert no_data_dir("test", "--ckpt_path", "alone.ckpt", *options) == 0
    assert load_reader("alone.ckpt").settings["data"]["data_dir"] == data_dir
    assert not Path("data").exists()


def test_a_run_from_elsewhere_does_not_say_where_anything_is_written(workplace, mnist, tmp_path):
    Path("theirs").mkdir()
    run = Path("lightning_logs").rename("theirs/lightning_logs") / "version_0"
    whole = yaml.safe_load((run / "config.yaml").read_text())
    whole["trainer"]["default_root_dir"] = str(tmp_path / "a")
    whole["trainer"]["logger"]["init_args"]["save_dir"] = str(tmp_path / "b")
    for name in ("figures", "evaluation"):
        whole[name]["init_args"]["dirpath"] = str(tmp_path / "c")
    (run / "config.yaml").write_text(yaml.safe_dump(whole))
    assert mnist("fit", "--ckpt_path", str(run), *QUICK[2:], "--trainer.max_epochs=3") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lightning_logs", "theirs"]


# Modules that the libraries look for, or that Python has itself.
SHADOWS = {
    "mnist": ("json", "dill", "pynvml", "torchcomms", "yaml", "difflib", "random", "triton"),
    "-m mnist_cli": ("dill", "pynvml", "torchcomms"),  # what Python itself loads before is out of our hands
}


@pytest.mark.parametrize("start", ["mnist", pytest.param("-m mnist_cli", marks=pytest.mark.slow)])
def test_files_in_the_current_folder_replace_no_module_and_a_network_there_is_found(workplace, data_dir, start):
    Path("my_net.py").write_text(
        "from torch import nn\n\n\nclass MyNet(nn.Sequential):\n    def __init__(self, width: int = 8):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))\n"
    )
    for name in SHADOWS[start]:
        Path(f"{name}.py").write_text(f"open('pwned', 'a').write('{name} ')\n")
    for name in ("regex", "tabulate"):
        Path(name).mkdir()
    options = ["--trainer.fast_dev_run=true", "--trainer.enable_progress_bar=false", "--data.data_dir", data_dir]
    script = [str(Path(sys.executable).parent / "mnist")] if start == "mnist" else start.split()
    options += ["--model.net=my_net.MyNet", "--model.net.width=16"]
    done = subprocess.run([sys.executable, *script, "fit", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "MyNet with 12,730 trainable parameters" in done.stdout
    assert not Path("pwned").exists(), Path("pwned").read_text()


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def shared(depth):
    """Lists that share their parts: two to the power of the depth when written out."""
    value = ["x"] * 10
    for _ in range(depth):
        value = [value] * 10
    return value


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
STEPS = list(zip("abcdefghi", "bcdefghij", strict=True))
MERGES = "a: &a {x: 1}\n" + "".join(f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 10)}]}}\n" for old, new in STEPS)
INSIDE = "[&a [x], " + ", ".join(f"&{new} [{', '.join([f'*{old}'] * 10)}]" for old, new in STEPS) + "]"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB + "trainer: {callbacks: *j}\n", "more than 20,000 values"),
        (BOMB + "data: {dataset: *j}\n", "more than 20,000 values"),
        (MERGES + "data: *j\n", "more than 20,000 values"),
        ("a: &a [*a]\n", "not valid YAML"),
        (
            yaml.safe_dump({"data": {"augment": INSIDE}}),
            "more than 20,000 values",
        ),  # read as YAML once more
        ("data: " + "[" * 100_000, "not valid YAML"),
        ("data: {a: " + "[" * 100 + "]" * 100 + "}", "more than 40 deep"),
        ("x" * 10_000_000, "at most 1,000,000 characters"),
        ("".join(f"k{n}: 1\n" for n in range(300_000))[:990_000], "more than 20,000 values"),
        ("seed_everything: !!python/object/apply:os.system ['touch pwned']\n", "not valid YAML"),
        ("seed_everything: !!python/name:os.system\n", "not valid YAML"),
        ("seed_everything: " + "9" * 10_000, "not valid YAML"),
        ("seed_everything: 2026-99-99\n", "not valid YAML"),
        ("\0\1\2", "not valid YAML"),
    ],
)
def test_yaml_that_would_run_or_explode_is_refused(tmp_path, monkeypatch, mnist, capfd, text, says):
    monkeypatch.chdir(tmp_path)
    Path("evil.yaml").write_text(text)
    refuse(mnist, capfd, "fit", "--config", "evil.yaml", says=says)
    assert [path.name for path in tmp_path.iterdir()] == ["evil.yaml"]


def test_a_file_without_an_end_is_no_file_of_settings(tmp_path, monkeypatch, mnist, capfd):
    monkeypatch.chdir(tmp_path)
    refuse(mnist, capfd, "fit", "--config", "/dev/zero", says="at most 1,000,000 characters")


class Runs:
    """Would run when it is unpickled."""

    def __reduce__(self):
        return exec, (PWN,)


DAMAGES = {
    "code": lambda content: content | {"epoch": Runs()},
    "shared settings": lambda content: content | {"hyper_parameters": {"net": shared(9)}},
    "deep settings": lambda content: content | {"hyper_parameters": {"net": nested(300)}},
    "300,000 settings": lambda content: content | {"hyper_parameters": {f"k{n}": 1 for n in range(300_000)}},
    "tensor among settings": lambda content: content | {"hyper_parameters": {"net": torch.zeros(3)}},
    "numbers for keys": lambda content: content | {"hyper_parameters": {1: 2}},
    "huge number": lambda content: content | {"hyper_parameters": {"mean": 10**9999}},
    "settings": lambda content: content | {"hyper_parameters": [1]},
    "settings of data": lambda content: content | {"datamodule_hyper_parameters": "x"},
    "net": lambda content: content | {"hyper_parameters": {"net": 3}},
    "arguments": lambda content: (
        content | {"hyper_parameters": {"net": {"class_path": "mnist_cli.MLP", "init_args": [1]}}}
    ),
    "class": lambda content: content | {"hyper_parameters": {"net": {"class_path": ["mnist_cli.MLP"]}}},
    "loops": lambda content: content | {"loops": {}},
    "loops as a list": lambda content: content | {"loops": []},
    "epoch": lambda content: content | {"epoch": "two"},
    "step": lambda content: content | {"global_step": None},
    "callbacks": lambda content: content | {"callbacks": [1]},
    "score": lambda content: content | {"callbacks": {"x": {"monitor": "y", "best_model_score": "z"}}},
    "schedulers": lambda content: content | {"lr_schedulers": [3]},
    "planned steps": lambda content: content | {"lr_schedulers": [{"total_steps": "x"}]},
    "weights": lambda content: content | {"state_dict": [1]},
    "no weights": lambda content: content | {"state_dict": {}},
    "a weight": lambda content: content | {"state_dict": {"mean": "x"}},
    "endless weight": lambda content: content | {"state_dict": {"mean": torch.zeros(1).expand(10**12)}},
    "sparse weight": lambda content: content | {"state_dict": {"mean": torch.zeros(3, 3).to_sparse()}},
    "missing weights": lambda content: content | {"state_dict": dict(list(content["state_dict"].items())[:-1])},
    "extra weights": lambda content: content | {"state_dict": content["state_dict"] | {"net.more": torch.zeros(3)}},
    "format of Lightning": lambda content: content | {"pytorch-lightning_version": "9.0"},
}


@pytest.fixture
def damaged(workplace):
    """Writes a checkpoint that was changed."""
    content = torch.load(RUN / "checkpoints/best.ckpt", weights_only=True)

    def write(damage):
        torch.save(DAMAGES[damage](dict(content)), "damaged.ckpt")
        return "damaged.ckpt"

    return write


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_altered_checkpoint_gets_a_sentence_and_runs_nothing(damaged, mnist, capfd, damage):
    refuse(mnist, capfd, "test", "--ckpt_path", damaged(damage), says="")
    try:
        load_reader("damaged.ckpt")
    except UserError:
        refused = True
    else:
        refused = False
    assert refused or damage in ("settings of data",)


RESUMED = {
    "optimizer": lambda content: content | {"optimizer_states": [{}]},
    "optimizers": lambda content: content | {"optimizer_states": []},
    "random state": lambda content: content | {"DigitDataModule": {"rng": "x"}},
    "history": lambda content: content | {"history": [1, 2]},
    "loop": lambda content: (
        content | {"loops": {"fit_loop": {"epoch_progress": {"current": {"processed": 2}}, "state_dict": []}}}
    ),
}


@pytest.mark.parametrize("damage", RESUMED)
def test_a_fit_does_not_go_on_with_odd_states(workplace, mnist, capfd, damage):
    content = torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)
    torch.save(RESUMED[damage](content), "damaged.ckpt")
    refuse(mnist, capfd, "fit", "--ckpt_path", "damaged.ckpt", "--figures=null", says="--ckpt_path")


def test_a_checkpoint_that_would_unfold_is_not_opened(workplace, mnist, capfd):
    with zipfile.ZipFile("bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"0" * 1_000_000)
    refuse(mnist, capfd, "test", "--ckpt_path", "bomb.ckpt", says="is not a checkpoint")


def test_weights_that_are_not_numbers_are_told(workplace, mnist, capfd):
    content = torch.load(RUN / "checkpoints/best.ckpt", weights_only=True)
    content["state_dict"]["net.layers.1.bias"][:5] = torch.nan
    torch.save(content, "nan.ckpt")
    np.save("one.npy", np.eye(28))
    assert mnist("predict", "one.npy", "--ckpt_path", "nan.ckpt") in (0, 1)
    assert "5 of its weights are not finite" in capfd.readouterr().err
    with pytest.warns(UserWarning, match="5 of its weights are not finite"):
        load_reader("nan.ckpt")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"trainer: 3", b"[1]", b"", b"trainer: {precision: [1]}", b"a: &a [*a]"]
)
def test_a_damaged_config_of_a_run_gets_a_sentence(workplace, mnist, capfd, content):
    (RUN / "config.yaml").write_bytes(content)
    refuse(mnist, capfd, "test", "--ckpt_path", "best", says="")


@pytest.mark.parametrize("tta", [True, -3, 28, 10**6, 2**40, "flips", None])
@pytest.mark.parametrize("command", ["predict", "export"])
def test_an_odd_augmentation_at_test_time_takes_no_memory_and_is_refused(command, tta, workplace, mnist, capfd):
    file = stranger(hyper_parameters={"tta": tta})
    refuse(mnist, capfd, command, "--ckpt_path", file, says="model.tta")


def test_what_a_terminal_obeys_does_not_reach_it(workplace, mnist, capfd):
    file = stranger(hyper_parameters={"tta": "a\x1b[31mred"})
    line = refuse(mnist, capfd, "predict", "--ckpt_path", file, says="a\\x1b[31mred")
    assert line.isprintable()
