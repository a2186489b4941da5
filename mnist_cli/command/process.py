"""What the installed command sets for its whole process before any work, because it was measured to be faster."""

import atexit
import ctypes
import gc
import os
from importlib import import_module

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h of glibc


def prepare(command_line: str = "mnist_cli.command.cli") -> None:
    """Import the command line quickly, and set up the process.

    Args:
        command_line: The module that the command is in.
    """
    _import_quickly("torch", command_line)
    tune()


def tune() -> None:
    """What makes training faster; torch must not have started its threads yet."""
    _flush_denormals()
    _keep_freed_memory()
    _set_up_gpu()


def _import_quickly(*modules: str) -> None:
    """Import torch and Lightning without garbage collection: the half a million new objects live until exit.

    Collecting them is wasted work: it took a sixth of the import. Once frozen, later collections skip them.
    """
    gc.disable()
    try:
        for module in modules:
            import_module(module)
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.unfreeze)  # or some libraries report what is left at the end of Python as leaks


def _flush_denormals() -> None:
    """Flush denormal numbers to zero, in the threads that torch starts from now on.

    Adam's averages for weights that no longer learn shrink until they are denormal, and processors are slow with such
    numbers: the steps of the quick start's network took 1.4 times as long.
    """
    import torch

    torch.set_flush_denormal(True)


def _set_up_gpu() -> None:
    """Let matrix products use a GPU's TF32, as cuDNN's convolutions do by default; results on a CPU do not change.

    Without a GPU, keep Adam and other optimizers from looking for NVIDIA's library at every step: Lightning sets the
    variable to 1 when it is imported, which makes them do so.
    """
    import torch

    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = True
    else:
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def _keep_freed_memory() -> None:
    """Let glibc keep what torch frees: it needs the same again at the next step.

    By default glibc returns large blocks to the system and requests them again, page by page: up to a third of the time
    of a convolutional network's training (benchmarks/README.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt:  # only glibc has it
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
