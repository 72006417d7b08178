"""How much is in the store: rows, pages, and what came lately. Counted a slice at a time: a table may have
millions of rows, and SQLite keeps no count of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobctl.store.database import header, log_of
from jobctl.store.statements import statement
from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.store.database import Database

SLICE: Final = 1000
"""Rows that are counted at once: a millisecond or two."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """The store in bytes. ``free_bytes`` lie in the file and will be used before it grows; ``log_bytes`` is
    the write-ahead log, ``page_bytes`` the size of a page."""

    file_bytes: int
    free_bytes: int
    log_bytes: int
    page_bytes: int


def size(database: Database) -> Size:
    """How large the store is, from its header and from the names of its files: they are not opened."""
    page_bytes = header(database, "page_size")
    try:
        log_bytes = log_of(database.path).stat().st_size
    except FileNotFoundError:
        log_bytes = 0
    return Size(
        file_bytes=header(database, "page_count") * page_bytes,
        free_bytes=header(database, "freelist_count") * page_bytes,
        log_bytes=log_bytes,
        page_bytes=page_bytes,
    )


def tables(database: Database) -> list[str]:
    """The names of our tables, sorted."""
    found = database.rows(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    )
    return [name for (name,) in found]


def count(database: Database, table: str, after: tuple[Any, ...] | None) -> tuple[int, Any]:
    """Count the next rows of a table, in the order of its key; ``after`` is the key of the last one that was
    counted, None at the beginning.

    Gives back how many, and where to go on: None at the end.
    """
    key = _key(database, table)
    columns = ", ".join(f'"{name}"' for name in key)
    marks = ", ".join("?" for _ in key)
    where = "" if after is None else f"WHERE ({columns}) > ({marks})"
    bindings = after or ()
    last = database.row(
        f'SELECT {columns} FROM "{table}" {where} ORDER BY {columns} LIMIT 1 OFFSET {SLICE - 1}',  # noqa: S608 -- names of our schema
        bindings,
    )
    if last is not None:
        return SLICE, last
    row = database.row(f'SELECT count(*) FROM "{table}" {where}', bindings)  # noqa: S608 -- likewise
    assert row is not None
    return int(row[0]), None


def _key(database: Database, table: str) -> tuple[str, ...]:
    """The columns of a table's primary key, in order."""
    rows = database.rows("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,))
    return tuple(name for (name,) in rows)


@dataclass(frozen=True, kw_only=True)
class JobCount:
    """Some jobs: how many in a state, and how many of them were submitted since two moments."""

    state: str
    jobs: int
    in_day: int
    in_week: int


def jobs_by_state(
    database: Database, *, after: int, day: Moment, week: Moment
) -> tuple[list[JobCount], int | None]:
    """Count the next jobs by state; gives back where to go on, None at the end."""
    rows = database.rows(
        statement("jobs/count_states"), {"after": after, "day": day, "week": week, "limit": SLICE}
    )
    found = [
        JobCount(state=state, jobs=jobs, in_day=in_day, in_week=in_week)
        for state, jobs, in_day, in_week, _ in rows
    ]
    if sum(one.jobs for one in found) < SLICE:
        return found, None
    return found, max(last for *_, last in rows)
