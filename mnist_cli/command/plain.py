"""Commands that need no Trainer: their options are few and known, and they start as fast as torch does."""

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mnist_cli.errors import UserError
from mnist_cli.runs.directory import ckpt_option


class PlainParser(argparse.ArgumentParser):
    """Says what is wrong with an option in one sentence."""

    def error(self, message: str) -> NoReturn:
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        if found := re.search(r"unrecognized arguments: (\S+)", message):
            unknown = found[1].partition("=")[0]
            if not unknown.startswith("-") and "--output" in known:
                raise UserError(f"unexpected argument '{unknown}'; a file to write is given with --output {unknown}.")
            near = difflib.get_close_matches(unknown, known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else f"{self.prog} takes {', '.join(known)}."
            raise UserError(f"there is no option {unknown}; {hint}")
        if found := re.search(r"argument (\S+): expected one argument", message):
            raise UserError(f"{found[1]} needs a value; `{self.prog} --help` shows which.")
        if found := re.search(r"argument (\S+): invalid (?:choice|\w+ value): '(.*?)'(?: \((.*)\))?", message):
            raise UserError(f"{found[1]}: '{found[2]}' cannot be used; {found[3] or 'give a whole number'}.")
        raise UserError(f"{message}; `{self.prog} --help` shows the options.")


def _parser(command: str, purpose: str) -> PlainParser:
    parser = PlainParser(f"mnist {command}", description=purpose, allow_abbrev=False)
    parser.add_argument(
        "--ckpt_path",
        default="best",
        help="best or last (of the newest run), a run's name, number or directory, a file, or a folder for the Hub",
    )
    parser.add_argument(
        "--trainer.default_root_dir", dest="root", default=".", metavar="DIR", help="folder that holds the runs"
    )
    _add_trust(parser)
    return parser


def _add_trust(parser: PlainParser) -> None:
    parser.add_argument(
        "--trust", action="store_true", help="import what a checkpoint from elsewhere names; that runs its code"
    )


def _load(args: argparse.Namespace) -> Any:
    from mnist_cli.use.reader import load_reader

    reader = load_reader(args.ckpt_path, root=args.root, trust=args.trust)
    print(f"{reader.title}, from {reader.source}", file=sys.stderr)
    return reader


def export_parser() -> PlainParser:
    parser = _parser("export", "Write a trained network as ONNX files, or as a folder for the Hugging Face Hub.")
    parser.add_argument("--output", type=Path, help="the file digits.onnx, or the folder")
    parser.add_argument("--format", choices=("onnx", "hub"), default="onnx", help="onnx (default) or hub")
    parser.add_argument(
        "--data.data_dir", dest="data_dir", metavar="DIR", help="folder of the test digits; by default the run's own"
    )
    return parser


def export(arguments: Sequence[str]) -> int:
    """`mnist export`: write the network for other programs."""
    args = export_parser().parse_args(arguments)
    if args.output is None:
        raise UserError("--output: say where the network is to be written, such as --output digits.onnx.")
    reader = _load(args)
    from mnist_cli.use.export import export_hub, export_onnx, measure

    proof = measure(reader, args.data_dir)
    (export_hub if args.format == "hub" else export_onnx)(reader, args.output, proof)
    return 0


def ensemble_parser() -> PlainParser:
    parser = PlainParser(
        "mnist ensemble",
        description="Make a run whose network averages the probabilities of others; nothing is trained.",
        allow_abbrev=False,
    )
    parser.add_argument("members", nargs="+", metavar="RUN", help="run directories or checkpoint files, at least two")
    parser.add_argument(
        "--trainer.default_root_dir", dest="root", default=".", metavar="DIR", help="folder that holds the runs"
    )
    parser.add_argument(
        "--model.tta",
        dest="tta",
        type=lambda text: int(text) if text.isdecimal() else text,
        help="test-time augmentation: 0, a number of pixels, or affine; by default that of the members",
    )
    _add_trust(parser)
    return parser


def ensemble(arguments: Sequence[str]) -> int:
    """`mnist ensemble`: several runs become one that answers by the mean of their probabilities."""
    args = ensemble_parser().parse_args(arguments)
    from mnist_cli.use.combine import combine

    run = combine(args.members, Path(args.root), args.tta, trust=args.trust)
    print(f"Ensemble of {len(args.members)} networks; run {run.path}")
    print(f"Test it: mnist test {ckpt_option(run)}")
    return 0


def demo_parser() -> PlainParser:
    parser = _parser("demo", "Serve a page on which a digit can be drawn, and is read at the end of each stroke.")
    parser.add_argument("--port", type=int, default=8000, help="port of the page (default 8000); 0 takes a free one")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; by default this machine alone can open the page, with 0.0.0.0 all of the network",
    )
    return parser


def demo(arguments: Sequence[str]) -> int:
    """`mnist demo`: a page to draw on."""
    args = demo_parser().parse_args(arguments)
    reader = _load(args)
    from mnist_cli.use.demo import serve

    serve(reader, args.host, args.port)
    return 0
