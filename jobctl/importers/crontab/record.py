"""What a takeover has done, on disk, so that it can be undone: by this process or, after a crash, by another.

One folder beside the configuration, ``takeover``, readable by its owner alone: tables may hold secrets. A
record is written before the first table is changed, with every table as it was, and removed after the last
one has been given back.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

from jobctl.importers.reading import CannotImport
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FOLDER: Final = "takeover"
_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class TakenTable:
    """One table: where it lies, or whose own it is (``user``), as it was, and the lines that were taken."""

    path: str
    user: str | None
    original: bytes
    lines: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Record:
    """A takeover. ``name`` tells it from others, ``file`` is the drop-in that was written.

    ``is_done``: everything was changed; else it was cut short somewhere between.
    """

    name: str
    file: str
    schedules: tuple[str, ...]
    tables: tuple[TakenTable, ...]
    is_done: bool = False


def name_of(*, user: str | None, is_system: bool, files: Sequence[str]) -> str:
    """How the takeover of these tables is called; part of file names."""
    if is_system:
        return "system"
    if files:
        own = os.path.basename(files[0])  # noqa: PTH119 -- a text of the command line
        return "file-" + (re.sub(r"[^A-Za-z0-9._-]+", "-", own).strip("-.")[:150] or "table")
    return f"user-{user}" if user is not None else "user"


def path_of(config: Path, name: str) -> Path:
    """Where the record of that name lies."""
    return config.parent / FOLDER / f"{name}.json"


def names_of(config: Path) -> list[str]:
    """The names of all records; may be empty."""
    return sorted(file.stem for file in (config.parent / FOLDER).glob("*.json"))


def read(config: Path, name: str) -> Record | None:
    """The record of that name, None if there is none. Raises CannotImport: it cannot be understood."""
    path = path_of(config, name)
    try:
        data = json.loads(path.read_bytes())
        return Record(
            name=name,
            file=str(data["file"]),
            schedules=tuple(map(str, data["schedules"])),
            tables=tuple(_table(table) for table in data["tables"]),
            is_done=bool(data["is_done"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotImport(
            f"{path} cannot be read: {error}",
            hint="It holds the tables as they were, in base64: give them back by hand, then remove it.",
        ) from None


def _table(data: dict[str, Any]) -> TakenTable:
    return TakenTable(
        path=str(data["path"]),
        user=data["user"],
        original=base64.b64decode(data["original"]),
        lines=tuple(map(int, data["lines"])),
    )


@contextlib.contextmanager
def alone(config: Path) -> Iterator[None]:
    """Be the only one that takes lines over, or gives them back, beside this configuration.

    Of two at once the later one would find the tables changed, and undo what the earlier one did. Raises
    CannotImport: another one is at work, or this is no place to write to.
    """
    from filelock import FileLock, Timeout

    folder = config.parent / FOLDER
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = FileLock(str(folder / ".lock"), mode=0o600)
        lock.acquire(blocking=False)
    except Timeout:
        raise CannotImport(
            f"another takeover is at work in {folder}", hint="Wait until it has ended."
        ) from None
    except OSError as error:
        raise CannotImport(
            f"{folder} cannot be written: {error.strerror}",
            hint="Takeover writes beside the configuration of the daemon: name it with --config.",
        ) from None
    try:
        yield
    finally:
        lock.release()


def write(config: Path, record: Record) -> None:
    """Keep a record, in place of an earlier one of its name. On disk when this returns."""
    path = path_of(config, record.name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    data = {
        "version": _VERSION,
        "file": record.file,
        "schedules": list(record.schedules),
        "is_done": record.is_done,
        "tables": [
            {
                "path": table.path,
                "user": table.user,
                "lines": list(table.lines),
                "original": base64.b64encode(table.original).decode(),
            }
            for table in record.tables
        ],
    }
    replace_file(path, (json.dumps(data, indent=1) + "\n").encode(), mode=0o600)


def remove(config: Path, name: str) -> None:
    """Forget a record."""
    path_of(config, name).unlink(missing_ok=True)


def replace_file(
    path: Path, data: bytes, *, mode: int, owner: tuple[int, int] | None = None
) -> None:
    """Put a file in place of another one, or of none, in one step. On disk when this returns.

    The temporary file begins with a dot: neither a cron nor a daemon of ours reads such files. ``owner`` is
    uid and gid. Raises OSError: nothing was changed.
    """
    temporary = path.with_name(f".{path.name}.jobctl-{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
