"""IDX files, the form in which MNIST and its like are published; read as they are or gzipped."""

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnist_cli.errors import UserError

# The third byte of the header: what the numbers are. They are big-endian.
_TYPES: dict[int, "np.dtype[Any]"] = {0x08: np.dtype(np.uint8), 0x0C: np.dtype(">i4")}

_LONGEST = 2**29  # bytes; the longest published has 188 MB


def find_idx(name: str, folders: Sequence[Path]) -> Path | None:
    """The file of that name, or its gzipped form, in the first folder that has one."""
    paths = (folder / form for folder in folders for form in (name, f"{name}.gz"))
    return next((path for path in paths if path.is_file()), None)


def read_content(path: Path) -> bytes:
    """What is in a file, unpacked if it is gzipped.

    Raises:
        UserError: If it is damaged.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged ({error}); delete it, and put a whole file there.") from error
    if len(content) > _LONGEST:
        raise UserError(f"{path} holds more than {_LONGEST:,} bytes; delete it, and put the published one there.")
    return content


def read_idx(path: Path) -> np.ndarray:
    """Read one file.

    Returns:
        uint8 or int32, of the shape that the header says.

    Raises:
        UserError: If it is not an IDX file, or only a part of one.

    Source:
        The MNIST home page (LeCun, Cortes, Burges), "File formats for the MNIST database".
    """
    content = read_content(path)
    kind = _TYPES.get(content[2]) if len(content) > 4 and content[:2] == b"\0\0" else None
    start = 4 + 4 * content[3] if kind else 0
    if kind is None or len(content) <= start or not 1 <= content[3] <= 3:
        raise UserError(f"{path} is not an IDX file; delete it, and put the published one there.")
    shape = tuple(np.frombuffer(content, ">u4", count=content[3], offset=4).tolist())
    wanted = start + kind.itemsize * math.prod(shape)
    if len(content) != wanted:
        raise UserError(
            f"{path} has {len(content):,} bytes where its header says {wanted:,}; delete it, and put a whole one there."
        )
    array: np.ndarray = np.frombuffer(bytearray(content), kind, offset=start).reshape(shape)  # may be written to
    return array.astype(kind.newbyteorder("="), copy=False)
