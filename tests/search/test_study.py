"""A study that several processes share: exact numbers, and nothing lost with a process."""

import threading
from dataclasses import asdict, replace

import pytest
from optuna.distributions import FloatDistribution

from mnist_cli.runs.record import Process
from mnist_cli.search import study as study_module
from mnist_cli.search.storage import open_storage, open_study
from mnist_cli.search.study import TakenOverError

LR = {"lr": FloatDistribution(0.001, 0.1, log=True)}
DEAD = asdict(replace(Process.this(), pid=2**22 - 1, began="1"))
ELSEWHERE = asdict(Process("another", "machine", "boot", "namespace", 1, "1"))


@pytest.fixture
def opened(tmp_path):
    """Opens the same study as often as it is called, as another process would."""
    return lambda limit=3: open_study(open_storage(None, tmp_path), "some", "max", limit)


def test_the_limit_holds_over_processes_and_restarts(opened):
    first, second = opened(), opened()
    for study in (first, second, first):
        entry, trial = study.claim(LR)
        study.finish(trial, value=entry.number / 10)
    assert first.claim(LR) is None
    assert opened().claim(LR) is None
    assert [entry.number for entry in second.entries()] == [1, 2, 3]
    assert second.best().number == 3
    assert opened(4).claim(LR)[0].number == 4


def test_processes_that_take_the_last_trial_at_one_moment_do_not_exceed_the_limit(opened):
    studies = [opened(2) for _ in range(6)]
    claimed = []
    barrier = threading.Barrier(6)

    def take(study):
        barrier.wait()
        claimed.append(study.claim(LR))

    threads = [threading.Thread(target=take, args=(study,)) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = sorted(one[0].number for one in claimed if one)
    assert numbers == [1, 2]
    assert [entry.number for entry in opened(2).entries()] == [1, 2]


def test_a_trial_whose_process_is_gone_is_taken_over_with_its_settings_and_epochs(opened):
    study = opened()
    entry, trial = study.claim(LR)
    study.report(trial, 0, 0.5, 1.0)
    trial.set_user_attr("run", "lightning_logs/version_7")
    trial.set_user_attr("process", DEAD)
    again, successor = opened().claim(LR)
    assert (again.number, again.note["run"]) == (1, "lightning_logs/version_7")
    assert successor.params == trial.params == entry.trial.params
    assert again.trial.intermediate_values == {0: 0.5}
    assert opened().claim(LR)[0].number == 2  # the first is not taken a second time
    with pytest.raises(TakenOverError):
        study.finish(trial, value=0.9)
    assert study.report(trial, 1, 0.9, 2.0) is True
    opened().finish(successor, value=0.7)
    first = study.entries()[0]
    assert (first.number, first.score) == (1, 0.7)


def test_only_one_of_several_takes_an_abandoned_trial(opened):
    study = opened(1)
    study.claim(LR)[1].set_user_attr("process", DEAD)
    claimed = [opened(1).claim(LR), opened(1).claim(LR)]
    assert [one is not None for one in claimed] == [True, False]


def test_a_trial_of_a_living_process_is_left_alone(opened):
    opened().claim(LR)
    assert opened().claim(LR)[0].number == 2


def test_another_machine_is_gone_when_its_heartbeat_stops(opened, monkeypatch):
    study, observer = opened(1), opened(1)
    trial = study.claim(LR)[1]
    trial.set_user_attr("process", ELSEWHERE)
    now = [1000.0]
    monkeypatch.setattr(study_module.time, "monotonic", lambda: now[0])
    assert observer.claim(LR) is None
    now[0] += 50
    trial.set_user_attr("heartbeat", 1)
    assert observer.claim(LR) is None  # it beats
    now[0] += 50
    assert observer.claim(LR) is None
    now[0] += 11
    assert observer.claim(LR)[0].number == 1


def test_a_trial_that_is_left_is_given_back_and_its_heart_beats_until_then(opened, monkeypatch):
    monkeypatch.setattr(study_module, "HEARTBEAT_S", 0.01)
    study = opened(1)
    trial = study.claim(LR)[1]

    def leave():
        with study.working_on(trial):
            while "heartbeat" not in study.entries()[0].note:
                pass
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert opened(1).claim(LR)[0].number == 1
