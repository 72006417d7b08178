"""The schedules that commands have added, read from the store for the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.logs import fields, logger
from jobctl.plan import ScheduleSpec, read_stored
from jobctl.steps import Steps, at_once, parts
from jobctl.store import schedules as schedule_rows
from jobctl.task.units import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobctl.plan import Plan
    from jobctl.store.database import Database


def stored_schedules(database: Database) -> list[ScheduleSpec]:
    """Every schedule that a command has added, oldest first.

    One whose table cannot be read is left out, and said: it stays in the store, and stops no other.
    """
    return at_once(reading_stored(database))


def reading_stored(database: Database) -> Steps[list[ScheduleSpec]]:
    """Do what `stored_schedules` does, a part of it at a time; none may be added or removed meanwhile."""
    found = []
    for rows in parts(schedule_rows.stored(database)):
        for row in rows:
            try:
                found.append(read_stored(row.name, row.table))
            except InvalidValue as error:
                logger.error(
                    "a stored schedule cannot be read and is not in force",
                    extra=fields(schedule=row.name, reason=error.message),
                )
        yield
    return found


def tell_hidden(stored: Iterable[ScheduleSpec], plan: Plan) -> None:
    """Say which stored schedules are not in force because the configuration has taken their names."""
    for spec in stored:
        taken = plan.schedules.get(spec.name)
        if taken is not None and not taken.is_stored:
            logger.error(
                "a stored schedule is not in force: its name is taken. Rename the other one, or remove "
                "this one with jobctl schedule remove",
                extra=fields(schedule=spec.name, taken_at=taken.source),
            )
