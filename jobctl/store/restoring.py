"""Putting a backup in the place of the store, and bringing what is known since into it.

Only the holder of the daemon's lock may do this. The order of the steps makes it safe to be cut short at any
of them:

1. The backup is copied beside the store, verified and completed there, and gets the name ``….restoring`` when
   it is whole and on stable storage. Until then nothing has happened to the store.
2. The store, then its log, are moved aside. From step 1 on no daemon opens what is left: it would take the
   one without the other, or begin a new one.
3. The copy takes the store's name. Only now a daemon starts again.

The same command again goes on from wherever it was cut short.

**What is known since.** A backup is from yesterday; jobs that wait in it have run since. So, unless told
otherwise, everything that can still be read of the old store is brought in: newer jobs, what became of those
that the backup knows as unfinished, schedules with their fates. Rows that cannot be read any more are passed
over; each row that comes in passes the constraints of the schema. Of jobs whose row cannot be read, outcomes
that wait on disk are brought in: such a job is put with a worker that does not exist, and the next daemon
settles it with that outcome, as it does after a crash.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import apsw

from jobctl.store.database import flush_folder, log_of, restoring
from jobctl.store.statements import statement
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from jobctl.clock import Moment

ID_GAP: Final = 1_000_000
"""How many ids are left out when it is not known which ones have been given out since the backup."""

WORKER: Final = "w/restored"
"""Where a job stands whose outcome waits on disk: with a worker that has no folder."""

_SLICE: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """An outcome that waits on disk."""

    job: int
    token: int
    started_at: Moment


@dataclass(kw_only=True)
class Merged:
    """What was brought into the copy. ``unreadable`` are rows of jobs that were there and could not be read;
    ``is_whole``: every row of the old store was read; ``unknown`` are jobs with an outcome on disk and without
    a row."""

    jobs: int = 0
    unreadable: int = 0
    outcomes: int = 0
    has_schedules: bool = False
    is_whole: bool = False
    unknown: list[int]


def merge(
    copy: Path, old: Path, *, takes_rows: bool, waiting: Iterable[Waiting], highest: int
) -> Merged:
    """Bring what is known since into the copy, which nobody else has open. The old store is not changed.

    ``takes_rows`` false: only outcomes. ``highest`` is the highest id that other traces tell of.

    Raises:
        apsw.Error: the copy cannot be written.
    """
    merged = Merged(unknown=[])
    connection = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        # Of no worth until `make_whole` has flushed it.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY").fetchall()
        connection.execute("PRAGMA trusted_schema = OFF")
        # The rows of schedules come before those that refer to them, but not one table by one.
        connection.execute("PRAGMA foreign_keys = OFF")
        known = _highest(connection, "main")
        newest: int | None = None
        with _attached(connection, old) as is_open:
            if is_open:
                newest = _take_highest(connection)
                if takes_rows:
                    merged.is_whole = _take_all(connection, merged, known)
        _take_outcomes(connection, merged, waiting)
        # An id is never given twice, also not those of jobs that nobody knows any more.
        used = max(known, highest, newest if newest is not None else known + ID_GAP)
        connection.execute(statement("meta/set"), ("highest_id", str(used)))
    finally:
        connection.close()
    return merged


def _highest(connection: apsw.Connection, schema: str) -> int:
    """The highest id that was ever given out, as far as a store knows."""
    rows = connection.execute(
        f"SELECT max(id) FROM {schema}.jobs "  # noqa: S608 -- "main" or "old"
        f"UNION ALL SELECT value FROM {schema}.meta WHERE name = 'highest_id'"
    )
    return max((int(value) for (value,) in rows if value is not None), default=0)


@contextmanager
def _attached(connection: apsw.Connection, old: Path) -> Iterator[bool]:
    """The old store as ``old`` while the block runs; False when it cannot be opened or has another schema."""
    if not old.exists():
        yield False
        return
    # Its log is read, and stays where it is.
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    is_open = False
    with suppress(apsw.Error):
        connection.execute("ATTACH ? AS old", (str(old),))
        connection.execute("PRAGMA old.locking_mode = EXCLUSIVE").fetchall()
        ours = connection.execute("PRAGMA main.user_version").fetchone()
        is_open = connection.execute("PRAGMA old.user_version").fetchone() == ours
    try:
        yield is_open
    finally:
        with suppress(apsw.Error):
            connection.execute("DETACH old")


def _take_highest(connection: apsw.Connection) -> int | None:
    try:
        return _highest(connection, "old")
    except apsw.Error:
        return None


TOGETHER: Final = ("schedules", "rules", "fires", "daemons", "sqlite_sequence")
"""Tables whose rows refer to each other: all of the old store or all of the backup."""

ALONE: Final = (
    "queues",
    "worker_groups",
    "rates",
    "workflows",
    "troubles",
    "notices",
    "lates",
    "changes",
)
"""Tables that are taken whole, each by itself."""

BY_JOB: Final = ("jobs", "attempts", "dependencies", "steps", "keys")
"""Tables of which the rows of single jobs are taken."""


def _take_all(connection: apsw.Connection, merged: Merged, known: int) -> bool:
    """Bring in what can be read; True when that was everything."""
    merged.has_schedules = _whole(connection, *TOGETHER)
    is_whole = merged.has_schedules
    for name in ALONE:
        is_whole &= _whole(connection, name)
    with suppress(apsw.Error):
        for row in connection.execute("SELECT name, value FROM old.meta").fetchall():
            if row[0] != "highest_id":
                connection.execute(statement("meta/set"), row)
    unfinished = connection.execute("SELECT id FROM main.jobs WHERE line IS NOT NULL").fetchall()
    for job in [int(str(id)) for (id,) in unfinished]:
        is_whole &= _take_jobs(connection, merged, job, job)
    first = known + 1
    while True:
        ids = _ids(connection, first)
        if ids is None:
            return False
        if not ids:
            break
        if not _take_jobs(connection, merged, ids[0], ids[-1]):
            is_whole = False
        first = ids[-1] + 1
    return is_whole


def _whole(connection: apsw.Connection, *names: str) -> bool:
    """Take the rows of these tables instead of the copy's: all of them, or none."""
    connection.execute("SAVEPOINT tables")
    try:
        for name in reversed(names):
            connection.execute(f"DELETE FROM main.{name}")  # noqa: S608 -- names of our schema
        for name in names:
            connection.execute(f"INSERT INTO main.{name} SELECT * FROM old.{name}")  # noqa: S608 -- likewise
    except apsw.Error:
        connection.execute("ROLLBACK TO tables")
        return False
    else:
        return True
    finally:
        connection.execute("RELEASE tables")


def _ids(connection: apsw.Connection, first: int) -> list[int] | None:
    """The next ids of the old store from one on; None when they cannot be read."""
    try:
        rows = connection.execute(
            "SELECT id FROM old.jobs WHERE id >= ? ORDER BY id LIMIT ?", (first, _SLICE)
        ).fetchall()
    except apsw.Error:
        return None
    return [int(str(id)) for (id,) in rows]


_JOBS: Final = "INSERT OR REPLACE INTO main.jobs SELECT * FROM old.jobs WHERE id BETWEEN ? AND ?"
_OF_JOBS: Final = (
    "INSERT OR REPLACE INTO main.attempts SELECT * FROM old.attempts WHERE job_id BETWEEN ? AND ?",
    "INSERT OR REPLACE INTO main.dependencies SELECT * FROM old.dependencies WHERE job_id BETWEEN ? AND ?",
    "INSERT OR REPLACE INTO main.steps SELECT * FROM old.steps WHERE job_id BETWEEN ? AND ?",
    "INSERT OR IGNORE INTO main.keys SELECT * FROM old.keys WHERE job_id BETWEEN ? AND ?",
)


def _take_jobs(connection: apsw.Connection, merged: Merged, first: int, last: int) -> bool:
    """Take jobs with all that belongs to them; False when some could not be read."""
    connection.execute("SAVEPOINT jobs")
    try:
        for sql in _OF_JOBS:
            connection.execute(sql, (first, last))
        connection.execute(_JOBS, (first, last))
        merged.jobs += connection.changes()
    except apsw.Error:
        connection.execute("ROLLBACK TO jobs")
        if first == last:
            merged.unreadable += 1
            return False
    else:
        return True
    finally:
        connection.execute("RELEASE jobs")
    middle = (first + last) // 2
    _take_jobs(connection, merged, first, middle)
    _take_jobs(connection, merged, middle + 1, last)
    return False


def _take_outcomes(connection: apsw.Connection, merged: Merged, waiting: Iterable[Waiting]) -> None:
    """Put the jobs of waiting outcomes with a worker, unless they are there already."""
    newest = {one.job: one for one in sorted(waiting, key=lambda one: one.started_at)}
    for one in newest.values():
        row = connection.execute(
            "SELECT state, token FROM jobs WHERE id = ?", (one.job,)
        ).fetchone()
        if row is None:
            merged.unknown.append(one.job)
        elif row == ("STARTED", one.token):
            merged.outcomes += 1
        elif row[0] in ("PENDING", "RETRY"):
            connection.execute(
                statement("jobs/start_restored"),
                {"id": one.job, "token": one.token, "started_at": one.started_at, "line": WORKER},
            )
            merged.outcomes += connection.changes()


def holders(copy: Path) -> set[str]:
    """The instances that hold a job according to a store that nobody has open. Raises apsw.Error."""
    connection = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        rows = connection.execute("SELECT DISTINCT line FROM jobs WHERE state = 'STARTED'")
        return {str(line).removeprefix("w/") for (line,) in rows}
    finally:
        connection.close()


def make_whole(copy: Path, path: Path) -> None:
    """Step 1 of the module: from here on a restore of ``path`` is under way. Raises OSError."""
    file = os.open(copy, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
    copy.rename(restoring(path))
    flush_folder(path.parent)


def exchange(path: Path, aside: Path) -> None:
    """Steps 2 and 3. ``aside`` is the folder for what was there; when it exists, it is gone on with.

    Raises OSError; the same again goes on.
    """
    aside.mkdir(mode=0o700, parents=True, exist_ok=True)
    flush_folder(aside.parent)
    move_aside(path, aside)
    restoring(path).rename(path)
    flush_folder(path.parent)


def move_aside(path: Path, aside: Path) -> None:
    """Move what is left of the old store there. Raises OSError.

    The store first: one without its log would lose what was committed last, and nobody would notice.
    """
    for name in (path, log_of(path)):
        with suppress(FileNotFoundError):
            name.rename(aside / name.name)
            flush_folder(path.parent)
            flush_folder(aside)
