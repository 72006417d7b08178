"""Schedules: the rule, the watermark and the pause of each that is in force, and what commands have added."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jobctl.store.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jobctl.clock import Moment
    from jobctl.store.database import Database

PAGE = 1000
"""Rows that are read at once."""


class StoredSchedule(NamedTuple):
    """A schedule's row and the rule that it goes by. A tuple: a start makes one for each schedule.

    ``rule`` is the number of that rule, ``identity`` its text: when it differs from the plan's, the
    schedule was edited. ``zone_data`` names the zone data by which its instants were computed. Every
    instant of the rule up to ``watermark`` has its fate. ``runs`` counts the jobs that were made.
    ``paused_until`` None with ``paused_at`` set: until somebody ends the pause. ``booted`` is the boot of
    the host for which an ``@reboot`` was served last.
    """

    id: int
    name: str
    rule: int
    identity: str
    anchor_at: Moment
    zone_data: str | None
    watermark: Moment
    runs: int
    paused_at: Moment | None
    paused_until: Moment | None
    booted: str | None
    created_at: Moment
    pruned_until: Moment | None


class PastSchedule(NamedTuple):
    """A schedule that is or was in force, as it is looked back at. ``removed_at`` is None while it is."""

    id: int
    name: str
    rule: int
    watermark: Moment
    runs: int
    paused_at: Moment | None
    paused_until: Moment | None
    created_at: Moment
    removed_at: Moment | None
    pruned_until: Moment | None


class StoredTable(NamedTuple):
    """What a command has added: ``table`` is the ``[schedules.<name>]`` table as JSON, ``uid`` who did it."""

    name: str
    table: str
    uid: int
    at: Moment


def each(database: Database) -> Iterator[StoredSchedule]:
    """Every schedule in force, by id. The store may be written between two of them."""
    after = 0
    while True:
        rows = database.rows(statement("schedules/page"), {"after": after, "limit": PAGE})
        for row in rows:
            yield StoredSchedule._make(row)
        if len(rows) < PAGE:
            return
        after = rows[-1][0]


def all(database: Database) -> dict[str, StoredSchedule]:
    """Every schedule in force, by name."""
    return {row.name: row for row in each(database)}


def get(database: Database, name: str) -> StoredSchedule | None:
    """A schedule in force, or None."""
    row = database.row(statement("schedules/get"), {"name": name})
    return None if row is None else StoredSchedule._make(row)


def add(
    database: Database,
    *,
    name: str,
    identity: str,
    anchor_at: Moment,
    now: Moment,
    zone_data: str | None = None,
    boot_id: str | None = None,
) -> StoredSchedule:
    """Put a schedule in force from ``now`` on. There is none of this name, or it was removed: then its past
    stays as it was. ``boot_id`` is the boot for which an ``@reboot`` needs no run any more."""
    bindings = {"name": name, "now": now, "booted": boot_id}
    found = database.row(statement("schedules/add"), bindings)
    assert found is not None
    id, number, created_at, pruned_until = found
    row = StoredSchedule(
        id=id,
        name=name,
        rule=number,
        identity=identity,
        anchor_at=anchor_at,
        zone_data=zone_data,
        watermark=now,
        runs=0,
        paused_at=None,
        paused_until=None,
        booted=boot_id,
        created_at=created_at,
        pruned_until=pruned_until,
    )
    _add_rule(database, row)
    return row


def begin_rule(
    database: Database,
    row: StoredSchedule,
    *,
    identity: str,
    anchor_at: Moment,
    zone_data: str | None,
    ends_at: Moment,
    begins_at: Moment,
    runs: int,
) -> StoredSchedule:
    """End the rule of a schedule at ``ends_at`` and let another be in force from ``begins_at`` on."""
    _end_rule(database, row, ends_at)
    bindings = {"id": row.id, "begins_at": begins_at, "runs": runs}
    database.execute(statement("schedules/begin_rule"), bindings)
    following = row._replace(
        rule=row.rule + 1,
        identity=identity,
        anchor_at=anchor_at,
        zone_data=zone_data,
        watermark=begins_at,
        runs=runs,
    )
    _add_rule(database, following)
    return following


def _add_rule(database: Database, row: StoredSchedule) -> None:
    bindings = {
        "schedule": row.id,
        "number": row.rule,
        "begins_at": row.watermark,
        "identity": row.identity,
        "anchor_at": row.anchor_at,
        "zone_data": row.zone_data,
    }
    database.execute(statement("rules/add"), bindings)


def _end_rule(database: Database, row: StoredSchedule, ends_at: Moment) -> None:
    bindings = {"schedule": row.id, "number": row.rule, "ends_at": ends_at}
    database.execute(statement("rules/end"), bindings)


def remove(database: Database, row: StoredSchedule, *, ends_at: Moment, now: Moment) -> None:
    """Take a schedule out of force; its history stays, and what a command has stored. A pause goes with
    it."""
    _end_rule(database, row, ends_at)
    database.execute(statement("schedules/remove"), {"id": row.id, "ends_at": ends_at, "now": now})


def advance(database: Database, marks: Iterable[tuple[Moment, int, int]]) -> None:
    """Move watermarks forward and note the jobs made, by ``(watermark, runs, id)``. One that stands there
    already, or beyond, stays with its count."""
    database.executemany(statement("schedules/advance"), marks)


def shift(database: Database, *, by: Moment) -> None:
    """Move every interval that follows no wall clock by so many microseconds, back if negative.

    Each goes on under its next rule: the same one with another anchor, from its watermark on, which is
    moved as well. So the wait for its next instant stays what it was.
    """
    # In this order: what the first two read is changed by the last.
    database.execute(statement("rules/shift"), {"by": by})
    database.execute(statement("rules/end_shifted"))
    database.execute(statement("schedules/shift"), {"by": by})


def pause(database: Database, *, id: int, until: Moment | None, now: Moment) -> None:
    """Let a schedule make no jobs until then, or until `resume`. One that is paused already stays so."""
    database.execute(statement("schedules/pause"), {"id": id, "until": until, "now": now})


def resume(database: Database, *, id: int) -> None:
    """End a pause, if there is one."""
    database.execute(statement("schedules/resume"), {"id": id})


def note_boot(database: Database, *, id: int, boot_id: str) -> None:
    """Remember for which boot an ``@reboot`` was served."""
    database.execute(statement("schedules/note_boot"), {"id": id, "boot_id": boot_id})


def note_pruned(database: Database, *, id: int, before: Moment) -> None:
    """Remember that fates wholly before a moment may be gone."""
    database.execute(statement("schedules/note_pruned"), {"id": id, "before": before})


def find(database: Database, name: str) -> PastSchedule | None:
    """A schedule, also one that was removed; None: there never was one of that name."""
    row = database.row(statement("schedules/find"), {"name": name})
    return None if row is None else PastSchedule._make(row)


def past(database: Database, *, after: int, limit: int) -> list[PastSchedule]:
    """A slice of all schedules by id, those that were removed included."""
    bindings = {"after": after, "limit": limit}
    rows = database.rows(statement("schedules/past"), bindings)
    return [PastSchedule._make(row) for row in rows]


def ids(database: Database, *, after: int, limit: int) -> list[int]:
    """A slice of the ids of all schedules, those that were removed included."""
    bindings = {"after": after, "limit": limit}
    return [row[0] for row in database.rows(statement("schedules/ids"), bindings)]


# -- what commands have added -------------------------------------------------------------------------


def stored(database: Database) -> Iterator[StoredTable]:
    """The tables of every schedule that a command has added, oldest first, read a page at a time."""
    after = 0
    while True:
        rows = database.rows(statement("schedules/stored"), {"after": after, "limit": PAGE})
        for row in rows:
            yield StoredTable._make(row[1:])
        if len(rows) < PAGE:
            return
        after = rows[-1][0]


def stored_of(database: Database, name: str) -> StoredTable | None:
    """The table of a schedule that a command has added, or None."""
    row = database.row(statement("schedules/stored_of"), {"name": name})
    return None if row is None else StoredTable._make(row)


def store(database: Database, *, name: str, table: str, uid: int, now: Moment) -> None:
    """Keep the table of a schedule that is in force already, in place of the one that was kept."""
    bindings = {"name": name, "stored": table, "uid": uid, "now": now}
    database.execute(statement("schedules/store"), bindings)
    assert database.changes() == 1, f"the schedule {name} is not in force"


def unstore(database: Database, *, name: str) -> None:
    """Forget the table of a schedule: it is the configuration's from now on, or nobody's."""
    database.execute(statement("schedules/unstore"), {"name": name})
