"""Sets up the processes that run tests, and gives them the fixtures of shared.py."""

import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # two threads in each of two processes wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "0")  # as the installed command sets it


def pytest_configure(config: pytest.Config) -> None:
    """A process that only hands tests out to others does without torch and Lightning, and starts those at once."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        import shared

        config.pluginmanager.register(shared)
