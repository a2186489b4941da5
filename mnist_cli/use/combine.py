"""Make one run of several: an ensemble that is tested, predicted with and exported like any other."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from mnist_cli.digits import class_names
from mnist_cli.errors import UserError
from mnist_cli.files import write_whole
from mnist_cli.model.forward import check_tta
from mnist_cli.model.trained import restore_network
from mnist_cli.runs.checkpoints import ChosenCheckpoint, open_checkpoint
from mnist_cli.runs.directory import Run, find_checkpoint, is_own, reserve_run, shown


def combine(members: Sequence[str], root: Path, tta: int | str | None = None, *, trust: bool = False) -> Run:
    """Write a run whose network is an `Ensemble` of the members, with copies of their weights.

    Args:
        members: Runs or checkpoint files, at least two.
        root: Folder that holds `lightning_logs`; the new run goes there.
        tta: Augmentation at test time, as `DigitModule` takes it; by default that of the members.
        trust: Import what members from elsewhere name; that runs their code.

    Raises:
        UserError: If there is no such checkpoint, one is given twice, or they cannot answer together.
    """
    files = [find_checkpoint(member, root) for member in members]
    chosen = [open_checkpoint(file, trusted=trust or is_own(file, root)) for file in files]
    paths = [one.path.resolve() for one in chosen]
    if len(chosen) < 2:
        raise UserError("an ensemble needs at least two members; give several runs or checkpoint files.")
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise UserError(f"{shown(twice[0])} is given twice; give each member once.")
    model, data = _model_settings(chosen, tta), _data_settings(chosen)
    weights = _join_weights(chosen, model)
    names = [str(shown(one.run.path if one.run else one.path)) for one in chosen]
    first = chosen[0].content
    content = {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": first["pytorch-lightning_version"],
        "loops": first["loops"],
        "state_dict": weights,
        "hyper_parameters": model | {"_instantiator": "lightning.pytorch.cli.instantiate_module"},
        "datamodule_hyper_parameters": data | {"_instantiator": "lightning.pytorch.cli.instantiate_module"},
        "ensemble": names,
    }
    file = io.BytesIO()
    torch.save(content, file)
    run = reserve_run(root)
    precision = _agreed([one.settings("test").get("trainer", {}).get("precision") for one in chosen])
    settings = {"trainer": {"precision": precision}} if precision else {}
    settings |= {"model": model, "data": data}
    header = f"# Made by `mnist ensemble {' '.join(names)}`: nothing was trained.\n"
    write_whole(run.config, header + yaml.safe_dump(settings, sort_keys=False))
    write_whole(run.checkpoint("last"), file.getvalue())
    return run


def _agreed(values: Sequence[Any]) -> Any:
    """The value that all have; None if they differ."""
    return values[0] if all(value == values[0] for value in values) else None


def _model_settings(chosen: Sequence[ChosenCheckpoint], tta: int | str | None) -> dict[str, Any]:
    settings = [one.network_settings()["model"] for one in chosen]
    for one, model in zip(chosen, settings, strict=True):
        # A member from elsewhere may name classes that are not imported; as the user's own ensemble they would be.
        restore_network(model, one.content["state_dict"], trust=one.trusted)
    if tta is None:
        theirs = [model.get("tta", 0) for model in settings]
        if (tta := _agreed(theirs)) is None:
            differ = ", ".join(map(str, theirs))
            raise UserError(f"model.tta: the members differ in it ({differ}); choose one with --model.tta.")
    check_tta(tta)
    return {
        "net": {"class_path": "mnist_cli.Ensemble", "init_args": {"members": [model["net"] for model in settings]}},
        "loss": _agreed([model.get("loss", "cross_entropy") for model in settings]) or "cross_entropy",
        "mean": float(chosen[0].content["state_dict"]["mean"]),
        "std": float(chosen[0].content["state_dict"]["std"]),
        "tta": tta,
        # Not used; but without one, the parser would put a default into the settings that they cannot express.
        "optimizer": settings[0].get("optimizer") or {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.001}},
    }


def _data_settings(chosen: Sequence[ChosenCheckpoint]) -> dict[str, Any]:
    """The first member's data; without a validation split if the members' splits differ."""
    settings = [one.network_settings()["data"] for one in chosen]
    datasets = [data.get("dataset", "MNIST") for data in settings]
    for one, dataset in zip(chosen, datasets, strict=True):
        if class_names(dataset) != class_names(datasets[0]):
            raise UserError(
                f"{shown(one.path)} reads {dataset}, and {shown(chosen[0].path)} {datasets[0]}: their classes "
                "differ; give members that were trained on the same classes."
            )
    data = {"dataset": datasets[0], "data_dir": settings[0].get("data_dir", "data")}
    split = _agreed([(dataset, *_split(data)) for dataset, data in zip(datasets, settings, strict=True)])
    return data | ({"val_size": split[1], "split_seed": split[2]} if split else {"val_size": 0.0})


def _split(data: dict[str, Any]) -> tuple[Any, Any]:
    return data.get("val_size", 0.2), data.get("split_seed", 42)


def _join_weights(chosen: Sequence[ChosenCheckpoint], model: dict[str, Any]) -> dict[str, Tensor]:
    """The state of a module whose network is the ensemble, in float32."""
    mean, std = torch.tensor(model["mean"]), torch.tensor(model["std"])
    weights = {"mean": mean, "std": std}
    gains, offsets = [], []
    for index, one in enumerate(chosen):
        theirs: dict[str, Tensor] = one.content["state_dict"]
        # The member's scaling in terms of the whole module's: ((x * std + mean) - its mean) / its std.
        gains.append(std / theirs["std"].float())
        offsets.append((mean - theirs["mean"].float()) / theirs["std"].float())
        weights |= {
            f"net.members.{index}.{name.removeprefix('net.')}": weight
            for name, weight in theirs.items()
            if name.startswith("net.")
        }
    return weights | {"net.gain": torch.stack(gains), "net.offset": torch.stack(offsets)}
