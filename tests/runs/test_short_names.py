"""Settings are compared by short names."""

from mnist_cli.runs.short_names import differences, flatten

CNN = {"net": {"class_path": "mnist_cli.CNN", "init_args": {"channels": [2, 3]}}, "loss": "mse"}


def test_names_are_short_and_differences_are_those_of_the_first():
    assert flatten({"model": CNN, "seed_everything": 1}) == {
        "net": "CNN",
        "net.channels": [2, 3],
        "loss": "mse",
        "seed_everything": 1,
    }
    assert differences({"model": CNN}, {"model": {**CNN, "loss": "cross_entropy"}}) == {"loss": "mse"}
