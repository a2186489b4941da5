"""The command `mnist`: what can be said at once is said here, without importing torch; the rest is in cli.py."""

import atexit
import difflib
import functools
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from mnist_cli import UserError, __version__

SUBCOMMANDS = {
    "fit": "train a network, then test the best checkpoint",
    "validate": "evaluate a checkpoint on the validation split",
    "test": "evaluate a checkpoint on the test set",
    "predict": "write the digits that a checkpoint reads to a CSV file",
}
HELP = f"""usage: mnist COMMAND [--config FILE.yaml] [--ckpt_path best|last|FILE|RUN_DIRECTORY] [OPTION ...]

Learn to read handwritten digits; a LightningCLI application.

commands:
{chr(10).join(f"  {name:<10} {text}" for name, text in SUBCOMMANDS.items())}

options:
  -h, --help   this text; after a command, all of its options
  --version    the version

examples:
  mnist fit --config configs/default.yaml
  mnist test --ckpt_path best
  mnist predict --ckpt_path best --data.images my_digits.npy
  mnist fit --config configs/default.yaml --print_config > mine.yaml"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mnist`.

    Args:
        argv: Arguments after the program's name; those of the process if None.

    Returns:
        Exit status: 0; 2 for a mistake of the user; 130 after Ctrl-C; 143 after SIGTERM.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        if not args or args[0] in ("-h", "--help"):
            print(HELP)
            return 0 if args else 2
        if args[0] == "--version":
            print(f"mnist {__version__}")
            return 0
        if args[0] not in SUBCOMMANDS:
            near = difflib.get_close_matches(args[0], SUBCOMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(SUBCOMMANDS)}."
            raise UserError(f"there is no command '{args[0]}'; {hint}")
        status: int = _load_cli().run(args)
        return status
    except UserError as error:
        if os.environ.get("MNIST_DEBUG") == "1":
            raise
        print(f"mnist: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


@functools.cache
def _load_cli() -> ModuleType:
    """Import cli.py with torch and Lightning: half a million objects that stay, so that to look for garbage is vain.

    With Python's garbage collection the import took 1.2 times as long; frozen, later collections pass over them.
    """
    gc.disable()
    try:
        from mnist_cli import cli
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.unfreeze)  # or some libraries complain, at the end of Python, of what they call leaks
    return cli


def command() -> None:
    """What is installed as `mnist`: `main`, and then the end of the process.

    With torch loaded, Python takes 1.5 s to free its memory piece by piece before it ends; the system does so at once.
    What was registered to run at the exit still runs.
    """
    sys.path.append(str(Path.cwd()))  # a network of the user's own may lie there
    status = main()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = 141
    os._exit(status)


if __name__ == "__main__":
    command()
