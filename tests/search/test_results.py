"""What a search says of its results; test_search looks at the files."""

import statistics

from optuna.distributions import FloatDistribution

from mnist_cli.search.results import Results, as_score, in_words, write_results
from mnist_cli.search.space import Dimension, SearchFile
from mnist_cli.search.storage import open_storage, open_study


def test_scores_and_settings_are_short():
    assert as_score("val/acc", 0.98765) == "98.77 %"
    assert as_score("val/loss", 0.05123) == "0.0512"
    assert (
        in_words({"model.optimizer.lr": 0.0012345, "model.net.hidden_sizes": "[256]"})
        == "lr 0.00123, hidden_sizes [256]"
    )
    assert in_words({"a.lr": 1, "b.lr": 2}) == "a.lr 1, b.lr 2"


def test_the_optimism_of_the_search_is_the_score_less_the_mean_of_fresh_seeds(tmp_path, capsys):
    space = {"model.optimizer.lr": Dimension(low=0.001, high=0.1, log=True)}
    file = SearchFile("s.yaml", space, trials=3)
    storage = open_storage(None, tmp_path)
    study, repeats = (open_study(storage, name, "max", 3) for name in ("search", "repeats"))
    lr = {"model.optimizer.lr": FloatDistribution(0.001, 0.1, log=True)}
    for score in (0.9, 0.98, 0.8):
        study.finish(study.claim(lr)[1], value=score)
    for score, tested in ((0.96, 0.95), (0.97, 0.96), (0.98, 0.97)):
        repeats.finish(repeats.claim({})[1], value=score, test_acc=tested)
    write_results(Results(file, "s", tmp_path, []), study, repeats)
    said = capsys.readouterr().out
    assert "The best: trial 2" in said
    assert "in the search: val/acc 98.00 % (one seed, the best of all)" in said
    assert f"with fresh seeds: val/acc 97.00 ± {100 * statistics.stdev((0.96, 0.97, 0.98)):.2f} % (n = 3)" in said
    assert "the search was optimistic by 1.00 points" in said
    assert "test/acc 96.00 ± 1.00 % (n = 3)" in said
