"""The command `mnist`: what needs no torch is answered here; the rest is in `command`."""

import atexit
import difflib
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from mnist_cli import __version__
from mnist_cli.errors import UserError

SUBCOMMANDS = {
    "fit": "train a network, then test the best checkpoint",
    "validate": "evaluate a checkpoint on the validation split",
    "test": "evaluate a checkpoint on the test set",
    "predict": "read pictures: a CSV file of the answers, and a sheet of the least certain",
    "search": "try settings of fit, and train the best with fresh seeds",
    "ensemble": "make one run of several, which averages their probabilities",
    "export": "write a network as ONNX files, or as a folder for the Hugging Face Hub",
    "demo": "serve a page to draw a digit on",
    "runs": "list the runs and what they reached, or compare some of them",
}
# The commands that need no Trainer, and the module of each; `runs` needs no torch either.
PLAIN = {"ensemble": "plain", "export": "plain", "demo": "plain", "runs": "runs"}
HELP = f"""usage: mnist COMMAND [--config FILE.yaml] [--ckpt_path best|last|RUN|FILE] [OPTION ...]

Learn to read handwritten digits; a LightningCLI application.

commands:
{chr(10).join(f"  {name:<10} {text}" for name, text in SUBCOMMANDS.items())}

options:
  -h, --help   this text; after a command, its options
  --version    the version
  --print_schema
               a JSON Schema of the files that --config takes, for editors
  --print_completion bash|zsh|fish
               completion of commands and options in a shell

examples:
  mnist fit --config configs/default.yaml
  mnist test --ckpt_path best
  mnist predict scans/ 7.png --ckpt_path best
  mnist export --ckpt_path best --output digits.onnx
  mnist demo --ckpt_path best
  mnist runs --sort val/acc
  mnist fit --config configs/default.yaml --print_config > mine.yaml"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mnist`, and leave the process as it was: its environment, warning filters and settings.

    Args:
        argv: Arguments after the program's name; those of the process if None.

    Returns:
        Exit status: 0; 2 for a mistake of the user; 130 after Ctrl-C; 143 after SIGTERM.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] == ["--print_schema"]:
        args.insert(0, "fit")  # whose options are those of the other commands
    environment = dict(os.environ)
    try:
        if not args or args[0] in ("-h", "--help", "help"):
            print(HELP)
            return 0 if args else 2
        if args[0] == "--version":
            print(f"mnist {__version__}")
            return 0
        if args[0] == "--print_completion":
            from mnist_cli.command.completion import print_completion

            return print_completion(args[1:], SUBCOMMANDS)
        if args[0] not in SUBCOMMANDS:
            near = difflib.get_close_matches(args[0], SUBCOMMANDS, n=1)
            later = [one for one in args if one in SUBCOMMANDS and args[0].startswith("-")]
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(SUBCOMMANDS)}."
            hint = f"it comes first: mnist {later[-1]} {args[0]} ..." if later else hint
            raise UserError(f"there is no command '{args[0]}'; {hint}")
        if args[0] in PLAIN:
            try:
                status: int = getattr(import_module(f"mnist_cli.command.{PLAIN[args[0]]}"), args[0])(args[1:])
            except SystemExit:  # argparse has shown the help
                return 0
            except BrokenPipeError:
                raise
            except OSError as error:
                from mnist_cli.command.mistakes import first_sentence

                raise UserError(first_sentence(error)) from error
            return status
        from mnist_cli.command.cli import run
        from mnist_cli.command.silence import silence

        with silence():
            if args[0] == "search":
                from mnist_cli.search.subcommand import search

                return search(args[1:])
            return run(args)
    except UserError as error:
        if os.environ.get("MNIST_DEBUG") == "1":
            raise
        # What comes from a stranger's file may hold characters that a terminal obeys.
        text = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(error))
        print(f"mnist: error: {text}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)


def _end_at_once(number: int, frame: Any) -> None:
    """While libraries are imported there is nothing to clean up, and some of them swallow exceptions."""
    os._exit(128 + number)


def _others_work(looks: int = 5) -> bool:
    """Whether other programs need some of this process's processors now.

    Then its threads have to sleep while they wait for each other: spinning, they would keep the processor from those
    that work, and a fit beside one other program take several times as long. Alone, sleeping costs up to a quarter
    (benchmarks/README.md).
    """
    running = []
    for _ in range(looks):
        try:
            running.append(int(Path("/proc/loadavg").read_text().split()[3].split("/")[0]))
        except (OSError, ValueError, IndexError):  # not Linux
            return True
        time.sleep(0.002)
    others, ours, all_there_are = sorted(running)[looks // 2] - 1, len(os.sched_getaffinity(0)), os.cpu_count() or 1
    return others > 0 and (ours < all_there_are or others + ours > all_there_are)  # they may have been given the same


def command() -> None:
    """Entry point of the installed `mnist`: sets up the process, runs `main`, and exits."""
    if not sys.flags.safe_path and sys.argv[0] == __file__ and sys.path[0] in ("", str(Path.cwd())):
        del sys.path[0]  # of `python -m mnist_cli`: files in the current folder must not replace installed modules
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # nor in a Python that a library starts, as typeshed_client does
    if sys.argv[1:2] and sys.argv[1] in SUBCOMMANDS and sys.argv[1] != "runs":
        # OpenMP reads this when torch is imported.
        if "OMP_WAIT_POLICY" not in os.environ and _others_work():
            os.environ.setdefault("GOMP_SPINCOUNT", "0")
        from mnist_cli.command.process import prepare

        before = {number: signal.signal(number, _end_at_once) for number in (signal.SIGINT, signal.SIGTERM)}
        prepare(f"mnist_cli.command.{PLAIN.get(sys.argv[1], 'cli')}")
        for number, handler in before.items():
            signal.signal(number, handler)
    status = main()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = 141
    # With torch loaded, Python takes 1.5 s to free its memory piece by piece before it ends; the system does so at
    # once. What was registered to run at the exit has run.
    os._exit(status)


if __name__ == "__main__":
    command()
