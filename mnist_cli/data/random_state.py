"""The random numbers that come next, as plain data: torch's, and those that a user's own augmentation may draw from."""

import random
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """The state of every generator that a run draws from."""
    numbers = np.random.get_state(legacy=False)
    assert isinstance(numbers, dict)
    numbers["state"] = {**numbers["state"], "key": numbers["state"]["key"].tolist()}  # checkpoints hold no arrays
    state = {"rng": torch.get_rng_state(), "python": random.getstate(), "numpy": numbers}
    return state | ({"cuda": torch.cuda.get_rng_state_all()} if torch.cuda.is_available() else {})


def restore_random_state(state: dict[str, Any]) -> None:
    """Go on with the random numbers of a checkpoint; version 0.1.0 kept torch's alone."""
    torch.set_rng_state(state["rng"])
    if "python" in state:
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words), gauss))
        numbers = state["numpy"]
        np.random.set_state({**numbers, "state": {**numbers["state"], "key": np.array(numbers["state"]["key"])}})
    if len(state.get("cuda", [])) == torch.cuda.device_count() > 0:
        torch.cuda.set_rng_state_all(state["cuda"])
