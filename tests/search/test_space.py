"""The file of a search: what it may say, and a sentence for each mistake."""

from pathlib import Path

import pytest

from mnist_cli.errors import UserError
from mnist_cli.search.space import as_flags, read_search_file

RANGE = "space: {model.optimizer.lr: {low: 1e-4, high: 1e-1, log: true}}"


def read(tmp_path, text):
    Path(tmp_path / "s.yaml").write_text(text)
    return read_search_file(str(tmp_path / "s.yaml"))


def test_what_is_left_out_has_a_default_that_fits_the_metric(tmp_path):
    search = read(tmp_path, f"{RANGE}\ntrials: 3\nmetric: val/loss")
    assert search.mode == "min"
    assert read(tmp_path, f"{RANGE}\ntrials: 3").mode == "max"


def test_samplers_and_pruners_are_made_by_name_and_with_arguments(tmp_path):
    sampler = "{class_path: TPESampler, init_args: {n_startup_trials: 3}}"
    search = read(tmp_path, f"{RANGE}\ntrials: 3\nsampler: {sampler}\npruner: SuccessiveHalvingPruner")
    assert search.make_sampler(1)._n_startup_trials == 3
    assert type(search.make_pruner()).__name__ == "SuccessiveHalvingPruner"
    assert type(read(tmp_path, f"{RANGE}\ntrials: 3").make_pruner()).__name__ == "NopPruner"


def test_values_become_options_of_fit():
    settings = {"a.b": [512, 256], "c": 0.001, "d": "relu", "e": None, "f": True}
    assert as_flags(settings) == ["--a.b=[512, 256]", "--c=0.001", "--d=relu", "--e=null", "--f=true"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("trials: 3", "space is missing"),
        (RANGE, "trials is missing"),
        (f"{RANGE}\ntrials: 0", "trials: expected a whole number of at least 1, got '0'"),
        (f"{RANGE}\ntrials: 3\nrepeats: -1", "repeats: expected a whole number of at least 0"),
        (f"{RANGE}\ntrial: 3", "no setting 'trial'; did you mean trials?"),
        (f"{RANGE}\ntrials: 3\nmetric: val/accuracy", "metric: expected val/acc or val/loss, got 'val/accuracy'."),
        (f"{RANGE}\ntrials: 3\nmetric: test/acc", "the test set must not choose"),
        (f"{RANGE}\ntrials: 3\nmode: min", "mode: of val/acc the best is the max, not 'min'"),
        (f"{RANGE}\ntrials: 3\nsampler: TPSampler", "no sampler 'TPSampler'; did you mean TPESampler?"),
        (f"{RANGE}\ntrials: 3\nsampler: GridSampler", "GridSampler cannot be used with this search"),
        (f"{RANGE}\ntrials: 3\npruner: MedianPrune", "no pruner 'MedianPrune'; did you mean MedianPruner?"),
        (
            "space: {data.batch_size: {values: [64, 128]}}\ntrials: 3\nsampler: GridSampler",
            "has 2 points to try, not 3",
        ),
        ("space: {a: {low: 1}}\ntrials: 3", "space: a.high: expected a number, got 'None'"),
        ("space: {a: {low: 2, high: 1}}\ntrials: 3", "the range from 2 to 1 is empty"),
        ("space: {a: {low: 0, high: 1, log: true}}\ntrials: 3", "a logarithmic range cannot begin at 0"),
        ("space: {a: {low: 0, high: 1, logg: true}}\ntrials: 3", "'logg' of a; did you mean log?"),
        ("space: {a: {low: 0, high: .inf}}\ntrials: 3", "a.high: expected a number, got 'inf'"),
        ("space: {a: {low: 0, high: 1, log: maybe}}\ntrials: 3", "log: expected true or false"),
        ("space: {a: {low: 0, high: 1, step: 2}}\ntrials: 3", "step: expected more than 0, at most 1"),
        ("space: {a: {values: []}}\ntrials: 3", "a.values: expected a list with at least one value"),
        ("space: {a: {values: [1, 2, 1]}}\ntrials: 3", "a.values: 1 stands twice"),
        ("space: {a: {values: [1], low: 3}}\ntrials: 3", "give {values: [64, 128]} or {low: 0.001"),
        ("space: {a: 3}\ntrials: 3", "give {values: [64, 128]} or {low: 0.001"),
        ("space: {seed_everything: {values: [1, 2]}}\ntrials: 3", "a seed is luck, not a setting"),
        ("space: {data.val_size: {low: 0.1, high: 0.3}}\ntrials: 3", "another split has other validation images"),
        ("space: {ckpt_path: {values: [best]}}\ntrials: 3", "it does not affect the training"),
        ("metric: val/loss\nspace: {model.loss: {values: [mse]}}\ntrials: 3", "losses of two kinds cannot be compared"),
        ("[", "this is not valid YAML"),
    ],
)
def test_a_mistake_is_a_sentence(tmp_path, text, sentence):
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
