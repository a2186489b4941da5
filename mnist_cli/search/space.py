"""The file of a search: its options, the values that each may take, and how they are chosen."""

import difflib
import inspect
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cli.errors import UserError
from mnist_cli.runs.settings import Settings, load_settings

METRICS = {"val/acc": "max", "val/loss": "min"}  # what a search may choose by, and which way is better
# Options that change what the metric is measured on, or the random numbers: their trials could not be compared.
_NOT_COMPARABLE = {
    "data.dataset": "another data set has other validation images",
    "data.val_size": "another split has other validation images",
    "data.split_seed": "another split has other validation images",
    "trainer.limit_val_batches": "the score would be measured on other validation images",
    "seed_everything": "a seed is luck, not a setting; `repeats` measures how much it matters",
}
_NO_SETTINGS = ("config", "ckpt_path", "name", "print_config", "trainer.default_root_dir", "test_after_fit")


@dataclass(frozen=True)
class Dimension:
    """The values that an option may take.

    Attributes:
        values: The choices; empty for a range.
        low: Lower end of a range, included.
        high: Upper end, included.
        log: Whether the range is searched by orders of magnitude.
        step: Distance of the values in a range; None for any value.
    """

    values: tuple[Any, ...] = ()
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    step: float | None = None

    @property
    def probes(self) -> tuple[Any, ...]:
        """Values which an option must accept if it is to accept all of them."""
        return self.values or (self.low, self.high)

    @property
    def is_whole(self) -> bool:
        return not self.values and all(isinstance(end, int) for end in self.probes)

    @property
    def num_values(self) -> float:
        """How many different values there are; infinite for a range of numbers."""
        if self.values:
            return len(self.values)
        if self.step is None and not self.is_whole:
            return math.inf
        return int((self.high - self.low) / (self.step or 1) + 1e-9) + 1

    def distribution(self, *, whole: bool) -> Any:
        """Optuna's form of it.

        Args:
            whole: Whether only whole numbers of a range are wanted.
        """
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.values:  # Optuna keeps plain values; lists and settings become text, as on the command line
            return CategoricalDistribution([v if isinstance(v, (str, int, float)) else as_text(v) for v in self.values])
        if whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class SearchFile:
    """What a file of a search says.

    Attributes:
        path: The file.
        space: The options that are searched, by name, in order.
        trials: How many settings are tried in all.
        metric: What is compared: val/acc or val/loss.
        mode: max or min.
        sampler: Class of optuna.samplers, with its arguments.
        pruner: Class of optuna.pruners, with its arguments; None trains every trial to its end.
        repeats: Number of fresh seeds for the winner.
    """

    path: str
    space: dict[str, Dimension]
    trials: int
    metric: str = "val/acc"
    mode: str = "max"
    sampler: Any = "TPESampler"
    pruner: Any = None
    repeats: int = 5

    def make_sampler(self, seed: int) -> Any:
        """The sampler, drawing the random numbers of a seed.

        Raises:
            UserError: If there is no such class, or it does not take its arguments.
        """
        from optuna import samplers

        known: dict[str, Any] = {"seed": seed}
        if all(dimension.values for dimension in self.space.values()):
            known["search_space"] = {
                name: list(one.distribution(whole=False).choices) for name, one in self.space.items()
            }
        return self._make("sampler", self.sampler, samplers, samplers.BaseSampler, known)

    def make_pruner(self) -> Any:
        """The pruner.

        Raises:
            UserError: As for the sampler.
        """
        from optuna import pruners

        return self._make("pruner", self.pruner or "NopPruner", pruners, pruners.BasePruner, {})

    def _make(self, key: str, wanted: Any, module: Any, base: type, known: dict[str, Any]) -> Any:
        given = wanted if isinstance(wanted, dict) else {"class_path": wanted}
        name = str(given.get("class_path")).rpartition(".")[2]
        classes = [one for one in module.__all__ if inspect.isclass(getattr(module, one)) and one != base.__name__]
        if name not in classes:
            near = difflib.get_close_matches(name, classes, n=1)
            hint = f"did you mean {near[0]}?" if near else f"give one of {', '.join(classes)}."
            raise UserError(f"{self.path}: {key}: Optuna has no {key} '{name}'; {hint}")
        made = getattr(module, name)
        takes = inspect.signature(made).parameters
        arguments = {one: value for one, value in known.items() if one in takes} | (given.get("init_args") or {})
        try:
            return made(**arguments)
        except (TypeError, ValueError, ImportError) as error:
            problem = " ".join(str(error).split())
            raise UserError(f"{self.path}: {key} {name} cannot be used with this search ({problem}).") from error


def as_text(value: Any) -> str:
    """A value as it is written on the command line."""
    return value if isinstance(value, str) else json.dumps(value)


def as_flags(settings: dict[str, Any]) -> list[str]:
    """Settings as options of `mnist fit`."""
    return [f"--{name}={as_text(value)}" for name, value in settings.items()]


def read_search_file(path: str) -> SearchFile:
    """Read and check a file of a search.

    Raises:
        UserError: If it is missing, or something in it cannot work.
    """
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(
            f"--search {path}: {reason}; give the path of a YAML file such as configs/search_mlp.yaml."
        ) from error
    settings = load_settings(text, f"--search {path}")
    _check_keys(path, "", settings, list(SearchFile.__dataclass_fields__)[1:])
    space = settings.get("space")
    if not isinstance(space, dict) or not space:
        raise UserError(f"{path}: space is missing; name the options to search, each with its values or its range.")
    dimensions = {str(name): _read_dimension(path, str(name), given) for name, given in space.items()}
    _check_numbers(path, settings)
    metric = settings.get("metric", "val/acc")
    if str(metric) not in METRICS:
        why = "; the test set must not choose" if str(metric).startswith("test") else ""
        raise UserError(f"{path}: metric: expected {' or '.join(METRICS)}, got '{metric}'{why}.")
    mode = settings.get("mode", METRICS[metric])
    if mode != METRICS[metric]:
        raise UserError(f"{path}: mode: of {metric} the best is the {METRICS[metric]}, not '{mode}'; correct the file.")
    if metric == "val/loss" and {"model.loss"} & space.keys():
        raise UserError(f"{path}: model.loss: losses of two kinds cannot be compared; search with metric: val/acc.")
    found = SearchFile(**{**settings, "path": path, "space": dimensions, "metric": metric, "mode": mode})
    found.make_sampler(0)
    found.make_pruner()
    _check_grid(found)
    return found


def _check_keys(path: str, group: str, given: Settings, known: list[str]) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known)}."
            raise UserError(f"{path}: there is no setting '{key}'{group}; {hint}")


def _check_numbers(path: str, settings: Settings) -> None:
    if "trials" not in settings:
        raise UserError(f"{path}: trials is missing; say how many settings are to be tried in all, such as trials: 40.")
    for name, least in (("trials", 1), ("repeats", 0)):
        number = settings.get(name, least)
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise UserError(f"{path}: {name}: expected a whole number of at least {least}, got '{number}'.")


def _check_grid(search: SearchFile) -> None:
    """Samplers that try every point once have no more trials than there are points."""
    name = type(search.make_sampler(0)).__name__
    points = math.prod(one.num_values for one in search.space.values())
    if name in ("GridSampler", "BruteForceSampler") and search.trials > points:
        raise UserError(f"{search.path}: trials: {name} has {points:.0f} points to try, not {search.trials}.")


def _read_dimension(path: str, name: str, given: Any) -> Dimension:
    where = f"{path}: space: {name}"
    if name in _NOT_COMPARABLE:
        raise UserError(f"{where} cannot be searched: {_NOT_COMPARABLE[name]}.")
    if name in _NO_SETTINGS:
        raise UserError(f"{where} cannot be searched: it does not affect the training; leave it out.")
    if not isinstance(given, dict) or ("values" in given) == ("low" in given or "high" in given):
        raise UserError(f"{where}: give {{values: [64, 128]}} or {{low: 0.001, high: 0.1, log: true}}, got '{given}'.")
    if "values" in given:
        _check_keys(path, f" of {name}", given, ["values"])
        values = given["values"]
        if not isinstance(values, list) or not values:
            raise UserError(f"{where}.values: expected a list with at least one value, got '{values}'.")
        twice = [value for place, value in enumerate(values) if value in values[:place]]
        if twice:
            raise UserError(f"{where}.values: {as_text(twice[0])} stands twice; leave one out.")
        return Dimension(values=tuple(values))
    _check_keys(path, f" of {name}", given, ["low", "high", "log", "step"])
    for key in ("low", "high", *(["step"] if given.get("step") is not None else [])):
        number = given.get(key)
        if not isinstance(number, (int, float)) or isinstance(number, bool) or not math.isfinite(number):
            raise UserError(f"{where}.{key}: expected a number, got '{number}'.")
    low, high, log, step = given["low"], given["high"], given.get("log", False), given.get("step")
    if not isinstance(log, bool):
        raise UserError(f"{where}.log: expected true or false, got '{log}'.")
    if low >= high:
        raise UserError(f"{where}: the range from {low} to {high} is empty; low must be below high.")
    if log and low <= 0:
        raise UserError(f"{where}: a logarithmic range cannot begin at {low}; give a low above 0, or log: false.")
    if step is not None and (log or step <= 0 or step > high - low):
        raise UserError(f"{where}.step: expected more than 0, at most {high - low:g}, and no log, got '{step}'.")
    return Dimension(low=low, high=high, log=log, step=step)
