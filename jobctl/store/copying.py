"""A copy of the store that is one whole file: made a slice at a time beside the running daemon, then verified.

Through SQLite's backup API, on the daemon's own connection. Between two slices the daemon goes on writing:
SQLite brings a page that changes after it was copied into the copy as well (sqlite3_backup_step), so that the
copy shows the store as it was when its last slice was made. Copying the file outside SQLite would miss the
log, and closing its descriptor would drop the daemon's locks.

A copy has another name until it is verified and on stable storage: what has the final name can be trusted.
Flushing and verifying it take as long as the disk takes, and are left to a process of their own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import apsw

from jobctl.errors import Conflict, StorageError
from jobctl.store import checks
from jobctl.store.database import (
    APPLICATION_ID,
    Database,
    flush_folder,
    header,
    storage_error,
)
from jobctl.store.statements import migrations
from jobctl.values import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from jobctl.store.checks import Finding

UNFINISHED = ".unfinished"
"""Ends the name of a copy that is not verified yet."""


class Copy:
    """A copy under way. ``step`` until it is done, then ``close``; or ``drop``, at any time."""

    def __init__(self, database: Database, target: Path) -> None:
        """Begin to copy to ``target``, which must not exist; it is readable for its owner only.

        Raises:
            Conflict: something has that name. StorageError: it cannot be made.
        """
        self._target = target
        _claim(target)
        try:
            self._connection = apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READWRITE)
            for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = OFF", "synchronous = OFF"):
                self._connection.execute(f"PRAGMA {pragma}").fetchall()
            self._backup = self._connection.backup("main", database.connection, "main")
        except apsw.Error as error:
            target.unlink(missing_ok=True)
            raise storage_error(error, target) from error

    def step(self, pages: int) -> bool:
        """Copy so many more pages; True when it was the last slice. Outside of a transaction only.

        Raises StorageError; the copy is of no use then.
        """
        try:
            return self._backup.step(pages)
        except apsw.Error as error:
            raise storage_error(error, self._target) from error

    @property
    def pages(self) -> int:
        """How many pages the store has."""
        return self._backup.page_count

    def close(self) -> None:
        """End a copy that is done. Raises StorageError."""
        try:
            self._backup.finish()
            self._connection.close()
        except apsw.Error as error:
            raise storage_error(error, self._target) from error

    def drop(self) -> None:
        """Give the copy up and remove it. Raises nothing."""
        self._backup.close(True)
        self._connection.close(True)
        self._target.unlink(missing_ok=True)


def _claim(target: Path) -> None:
    try:
        target.unlink(missing_ok=True)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(target, flags, 0o600))
    except FileExistsError as error:
        raise Conflict(
            f'"{target}" was made meanwhile', hint="Is another backup under way?"
        ) from error
    except OSError as error:
        raise StorageError(
            f'"{target}" cannot be made: {error.strerror}',
            hint="Name a file in a folder that the daemon's user may write.",
        ) from error


def copy_whole(database: Database, target: Path) -> int:
    """Copy at once, for a process that serves nobody; gives back the number of pages.

    Raises Conflict, StorageError; nothing is left of it then.
    """
    copy = Copy(database, target)
    try:
        while not copy.step(10_000):
            pass
        pages = copy.pages
        copy.close()
    except BaseException:
        copy.drop()
        raise
    return pages


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a verified file is. ``schema`` is its number; ``violations`` is empty when all is well."""

    schema: int
    jobs: int
    unfinished: int
    violations: list[Finding]
    remarks: list[Finding]


def verify(path: Path) -> Verdict:
    """Judge a file that nobody else has open: SQLite's checks, and what must hold between rows.

    It is made a single file first (no log beside it).

    Raises:
        StorageError: it cannot be read, is no store of jobctl, or a later jobctl wrote it.
    """
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            return _judge(connection, path)
        finally:
            connection.close()
    except apsw.Error as error:
        raise storage_error(error, path) from error


def _judge(connection: apsw.Connection, path: Path) -> Verdict:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
    connection.execute("PRAGMA trusted_schema = OFF")
    database = Database(connection, path)
    schema = header(database, "user_version")
    if header(database, "application_id") != APPLICATION_ID or not schema:
        raise StorageError(
            f'"{path}" is no store of jobctl', hint="Name a file that jobctl db backup has made."
        )
    if schema > len(migrations()):
        raise StorageError(
            f'"{path}" has schema {schema}, this jobctl knows {len(migrations())}',
            hint="Use the later jobctl.",
        )
    connection.execute("PRAGMA journal_mode = DELETE").fetchall()
    violations = checks.integrity(connection)
    remarks: list[Finding] = []
    if schema == len(migrations()) and not violations:
        # What must hold between rows is known of today's tables, and means nothing on damaged pages.
        violations, remarks = checks.relations(connection)
    jobs, unfinished = database.rows("SELECT count(*), count(line) FROM jobs")[0]
    return Verdict(
        schema=schema, jobs=jobs, unfinished=unfinished, violations=violations, remarks=remarks
    )


def keep(unfinished: Path, target: Path) -> None:
    """Give a verified copy its name, with everything on stable storage. Never in place of another file.

    Raises:
        Conflict: something has that name. OSError: the disk refuses.
    """
    file = os.open(unfinished, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
    try:
        # Not rename, which would replace what is there.
        target.hardlink_to(unfinished)
    except FileExistsError as error:
        raise Conflict(f'"{target}" is there already', hint="Name another file.") from error
    except PermissionError:
        # A file system without hard links (a stick, say).
        unfinished.rename(target)
    else:
        unfinished.unlink()
    flush_folder(target.parent)
