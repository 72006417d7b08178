"""Schedules that code declares beside its tasks: several for one task, or for a task of the file.

Like a task, a schedule is only noted down; the daemon learns of it from the templates that import its module.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from jobctl.errors import UsageError
from jobctl.task import Source
from jobctl.task.keys import NAME
from jobctl.task.units import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.api.options import HasName
    from jobctl.plan.schedule_table import ScheduleSpec


_schedules: dict[str, ScheduleSpec] = {}


def schedule(name: str, *, task: str | HasName, **options: Any) -> None:
    """Declare a schedule: ``schedule("month-end", task=report, cron="0 6 L * *", kwargs={"scope": "month"})``.

    ``options`` are the keys of a ``[schedules.X]`` table. The same name again takes the place of the first one:
    its module was loaded anew.

    Raises:
        UsageError: what no such table takes.
    """
    frame = sys._getframe(1)
    declare(name, task, options, Source(file=frame.f_code.co_filename, line=frame.f_lineno))


def declare(name: str, task: str | HasName, options: Mapping[str, Any], source: Source) -> None:
    """See `schedule`."""
    from jobctl.plan.schedule_table import read_schedule

    written = {**options, "task": task if isinstance(task, str) else task.name}
    try:
        NAME.read(name)
        _schedules[name] = read_schedule(name, written, source=source)
    except InvalidValue as invalid:
        told = "; ".join(
            f"{'.'.join(map(str, fault.path))}: {fault.message}" if fault.path else fault.message
            for fault in invalid.faults
        )
        hint = " ".join(dict.fromkeys(fault.hint for fault in invalid.faults if fault.hint))
        raise UsageError(f'schedule "{name}" ({source}): {told}', hint=hint) from None


def registered_schedules() -> tuple[ScheduleSpec, ...]:
    """Every schedule that the modules imported so far have declared."""
    return tuple(_schedules.values())
