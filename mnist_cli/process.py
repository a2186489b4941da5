"""What is set for the whole process before any work, because it was measured to be faster."""

import ctypes
import os

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h of glibc


def tune() -> None:
    """Set it; torch must not have started its threads yet, for they inherit the setting for denormal numbers."""
    # Adam's averages for weights that no longer learn shrink until they are denormal numbers, with which a processor is
    # slow: the steps of the quick start's network took 1.4 times as long.
    torch.set_flush_denormal(True)
    _keep_freed_memory()
    if not torch.cuda.is_available():
        # Lightning sets this to 1; then Adam and its kin look for NVIDIA's library at every single step.
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def _keep_freed_memory() -> None:
    """Let glibc keep what torch frees: it needs the same again at the next step.

    By default glibc gives large blocks back to the system and gets them afresh, page by page: up to a third of the time
    of a convolutional network's training (benchmarks/README.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt:  # other systems have no such function, nor the habit
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
