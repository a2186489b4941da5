"""Where the processes of a search meet: a journal file in its folder, or a database."""

import random
import time
from pathlib import Path
from typing import Any, Literal

from mnist_cli.errors import UserError
from mnist_cli.search.study import SharedStudy

_ATTEMPTS = 10


def open_storage(url: str | None, folder: Path) -> Any:
    """The storage of a search: a database, or a journal in the search's folder.

    Args:
        url: Of a database, such as postgresql://user:password@host/name; None for the journal.
        folder: The search's own.

    Raises:
        UserError: If the database cannot be used.
    """
    from optuna import storages
    from optuna.storages.journal import JournalFileBackend

    if url is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return storages.JournalStorage(JournalFileBackend(str(folder / "journal.log")))
        except OSError as error:
            raise UserError(
                f"{folder} cannot be used for the search ({error.strerror}); choose another folder."
            ) from error
        except ValueError as error:
            raise UserError(f"{folder / 'journal.log'} is damaged ({error}); move it away to start again.") from error
    from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

    kind = url.partition(":")[0]
    if kind.startswith("sqlite"):
        raise UserError(
            f"--storage {kind}: several processes cannot share SQLite safely; leave --storage out, or use PostgreSQL."
        )
    url = url.replace("{", "{{").replace("}", "}}")  # Optuna takes the address for a template
    address = url.replace("postgresql://", "postgresql+psycopg://", 1)  # the driver that the extra installs
    try:
        for _ in range(_ATTEMPTS):
            try:
                return storages.RDBStorage(address)
            except (IntegrityError, ProgrammingError):  # another process makes the tables of a new database
                time.sleep(random.uniform(0.1, 0.5))
        return storages.RDBStorage(address)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        problem = " ".join(str(getattr(error, "orig", None) or error).split("\n")[0].split())
        raise UserError(
            f"--storage {kind}: the database cannot be used ({problem}); give an address such as "
            "postgresql://USER:PASSWORD@HOST/DATABASE of a server that runs."
        ) from error


def open_study(storage: Any, name: str, mode: str, limit: int) -> SharedStudy:
    """The study of a name, made if it is not there; any number of processes may do so at once."""
    from optuna import create_study

    direction: Literal["maximize", "minimize"] = "maximize" if mode == "max" else "minimize"
    return SharedStudy(create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True), limit)
