"""Completion in real shells, each in a process of its own."""

import os
import pty
import select
import shutil
import subprocess
import time
from contextlib import redirect_stdout

import pytest

from mnist_cli.__main__ import main

# What stands before the cursor, and what Tab offers there.
OFFERED = [
    ("mnist val", "validate"),
    ("mnist fit --data.batch", "--data.batch_size"),
    ("mnist fit --model.net C", "CNN"),
    ("mnist fit --model.net.kern", "--model.net.kernel_size"),
    ("mnist fit --early_stopping.pa", "--early_stopping.patience"),
    ("mnist fit --trainer.accelerator m", "mps"),
    ("mnist fit --config rec", "recipe.yaml"),
    ("mnist test --ckpt_path be", "best"),
    ("mnist export --format h", "hub"),
    ("mnist runs --by", "--by-seed"),
    ("mnist search --stor", "--storage"),
]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """A folder with the three scripts, and a recipe to complete the name of."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "recipe.yaml").touch()
    for shell in ("bash", "zsh", "fish"):
        with (folder / f"mnist.{shell}").open("w") as file, redirect_stdout(file):
            assert main(["--print_completion", shell]) == 0
    shutil.copy(folder / "mnist.zsh", folder / "_mnist")  # zsh goes by the file's name
    return folder


def in_bash(folder, line):
    words = " ".join(f"'{word}'" for word in line.split())
    code = f"""source mnist.bash
        COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}
        _shtab_mnist mnist "${{COMP_WORDS[-1]}}" "${{COMP_WORDS[-2]}}"
        echo "${{COMPREPLY[@]}}" """
    return subprocess.run(["bash", "-c", code], cwd=folder, capture_output=True, text=True, check=True).stdout


def in_fish(folder, line):
    code = f"source mnist.fish; complete -C '{line}'"
    return subprocess.run(["fish", "-c", code], cwd=folder, capture_output=True, text=True, check=True).stdout


def read_until(terminal, done):
    """What a terminal shows until it is *done* and then quiet for half a second; or for 20 s."""
    shown, end = "", time.monotonic() + 20
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
        elif done(shown):
            break
    return shown


def in_zsh(folder, line):
    """What stands on the line of an interactive zsh after Tab."""
    child, terminal = pty.fork()
    if not child:
        os.chdir(folder)
        os.execvp("zsh", ["zsh", "-f", "-i"])
    os.write(terminal, b"fpath=($PWD $fpath); autoload -U compinit; compinit -u -D; PS1=REA'DY '\n")
    read_until(terminal, lambda shown: "READY " in shown)
    os.write(terminal, f"{line}\t".encode())
    shown = read_until(terminal, lambda shown: len(shown) > len(line) + 8 and "\a" not in shown)
    os.close(terminal)
    os.waitpid(child, 0)
    return shown


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_tab_offers_commands_options_values_and_files(shell, scripts):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    ask = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}[shell]
    missing = {line: shown for line, offered in OFFERED if offered not in (shown := ask(scripts, line))}
    assert not missing


def test_the_script_for_bash_offers_what_there_is(tmp_path, capsys):
    pytest.importorskip("shtab")
    assert main(["--print_completion", "bash"]) == 0
    (tmp_path / "mnist.bash").write_text(capsys.readouterr().out)
    (tmp_path / "recipe.yaml").touch()
    assert {line: in_bash(tmp_path, line).split() for line, _ in OFFERED} == {line: [one] for line, one in OFFERED}


@pytest.mark.parametrize(("shell", "hint"), [("zhs", "did you mean zsh?"), ("tcsh", "choose from bash, zsh, fish.")])
def test_a_shell_that_is_not_known_is_refused(shell, hint, capsys):
    assert main(["--print_completion", shell]) == 2
    assert capsys.readouterr().err == (
        f"mnist: error: --print_completion: there is no completion for the shell '{shell}'; {hint}\n"
    )
