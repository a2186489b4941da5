"""Types of options in words."""

import collections.abc
from typing import Any, Literal

import pytest
import torch
from jsonargparse.typing import ClosedUnitInterval, NonNegativeInt, OpenUnitInterval, PositiveFloat, PositiveInt

from mnist_cli import CNN, MLP
from mnist_cli.command.types import any_of, arguments_of, choices_of, class_of, describe_type, subclass_names


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, ["a whole number"]),
        (int | None, ["a whole number", "null"]),
        (None | float, ["a number", "null"]),
        (bool | str, ["true", "false", "text"]),
        (int | float | None, ["a number", "null"]),
        (float | torch.Tensor, ["a number"]),
        (tuple[float | torch.Tensor, float | torch.Tensor], ["a list such as [1, 2]"]),
        (Literal["min", "max"], ["min", "max"]),
        (list[int], ["a list such as [1, 2]"]),
        (list[torch.nn.Module], ["a list of classes"]),
        (dict[str, int], ["settings"]),
        (PositiveInt, ["a whole number of at least 1"]),
        (NonNegativeInt, ["a whole number of at least 0"]),
        (PositiveFloat, ["a number above 0"]),
        (OpenUnitInterval, ["a number between 0 and 1"]),
        (ClosedUnitInterval, ["a number from 0 to 1"]),
        (torch.nn.Module | None, ["the name or path of a class", "null"]),
        (Any, ["a value"]),
    ],
)
def test_a_type_in_words(kind, words):
    assert describe_type(kind) == words


def test_words_are_joined_as_a_choice():
    assert [any_of(["a"]), any_of(["a", "b"]), any_of(["a", "b", "c"])] == ["a", "a or b", "a, b or c"]


def test_choices_are_found_inside_unions():
    assert choices_of(Literal["a", "b"] | None) == ["a", "b"]
    assert choices_of(int) == []


def test_the_class_that_is_wanted_is_found_inside_other_types():
    assert class_of(torch.nn.Module | None) is torch.nn.Module
    assert class_of(collections.abc.Callable[[int], torch.optim.Optimizer]) is torch.optim.Optimizer
    assert class_of(list[torch.nn.Module]) is torch.nn.Module
    assert class_of(int | str | None) is None


def test_classes_that_fit_are_listed_without_private_ones():
    names = subclass_names(torch.optim.Optimizer)
    assert {"SGD", "AdamW"} <= set(names)
    assert not [name for name in names if name.startswith("_")]


def test_the_arguments_of_a_class_and_of_its_bases_are_found():
    assert list(arguments_of(MLP)) == ["hidden_sizes", "activation", "dropout", "batch_norm"]
    assert "channels" in arguments_of(CNN)

    class Child(MLP):
        def __init__(self, depth: int, **kwargs):
            super().__init__(**kwargs)

    assert arguments_of(Child)["depth"] is int
    assert "hidden_sizes" in arguments_of(Child)
