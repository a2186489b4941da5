"""Files that are whole or not there: written beside their place, flushed to the disk, then renamed."""

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that no reader ever sees a part of it, whenever the process ends.

    Args:
        path: The file; its folder is made if it is missing.
        content: Text is written as UTF-8.

    Raises:
        OSError: If it cannot be written; an older file then stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        beside = Path(file.name)
        try:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
            beside.chmod(0o644)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
