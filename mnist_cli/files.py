"""Files that are complete or absent: written to an unnamed temporary file, flushed, then renamed."""

import errno
import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def whole_file(path: Path, *, flush: bool = True) -> Iterator[IO[bytes]]:
    """Write a file in pieces; it takes its place at the end of the block, and if the block fails it is dropped.

    No reader ever sees a part of it, and an older file stays as it was until then. On Linux nothing is left behind
    however the process ends, because the file has no name before it is whole; elsewhere it lies beside its place. A
    link is replaced, not followed; devices and pipes, such as /dev/stdout, are written to as they are.

    Args:
        path: The file; its folder is made if it is missing.
        flush: Whether it is on the disk at the end, so that it survives a loss of power.

    Yields:
        The file to write to.

    Raises:
        OSError: If it cannot be written; its `filename` is the path.
    """
    if not path.name:  # "" or a folder with .. at its end
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.parent == Path("/dev") or path.is_char_device() or path.is_fifo():
        with path.open("ab") as file:  # what /dev/stdout leads to may hold something
            yield file
        return
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _open(beside) as file:
            yield file
            file.flush()
            if flush:
                os.fsync(file.fileno())
            if not beside.exists():
                # With a descriptor of its own Python calls linkat(2), which follows the link to the nameless file.
                os.link(f"/proc/self/fd/{file.fileno()}", beside, src_dir_fd=file.fileno())
            beside.replace(path)
    except BaseException as error:
        with suppress(OSError):  # where there is no folder there is nothing to drop
            beside.unlink()
        if isinstance(error, OSError):
            error.filename = str(path) if error.filename in (None, str(beside)) else error.filename
        raise


def _open(beside: Path) -> IO[bytes]:
    try:
        return os.fdopen(os.open(beside.parent, os.O_TMPFILE | os.O_WRONLY, 0o666), "wb")
    except (AttributeError, OSError):  # only Linux has it, and not on every file system
        return beside.open("xb")


def write_whole(path: Path, content: str | bytes | memoryview, *, flush: bool = True) -> None:
    """Write a file at once, as `whole_file` does.

    Args:
        path: The file; its folder is made if it is missing.
        content: Text is written as UTF-8.
        flush: Whether it is on the disk at the end, so that it survives a loss of power.

    Raises:
        OSError: If it cannot be written; an older file then stays as it was.
    """
    with whole_file(path, flush=flush) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def json_text(value: Any) -> str:
    """A value as JSON; text stands for the numbers that JSON does not have, such as a threshold of `inf`."""
    return json.dumps(_finite(value), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
