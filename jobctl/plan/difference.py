"""What a reload changes, as lines that a person reads before trusting it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jobctl.errors import PlanError
from jobctl.plan.tables import ScheduleSpec
from jobctl.task.keys import BoundKey, keys_of
from jobctl.task.units import format_size, format_span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from _typeshed import DataclassInstance

    from jobctl.plan.force import Plan
    from jobctl.task.keys import Json

_SECRET: Final = frozenset({"env", "args", "kwargs"})
_LASTING: Final = ("state_dir", "socket")


@dataclass(frozen=True, kw_only=True)
class Changed:
    """One thing that differs: ``what`` is ``added``, ``removed`` or ``changed``; ``details`` are lines such
    as ``timeout: 1h -> 2h``, empty unless something changed. Secrets are named, never shown."""

    noun: str
    name: str
    what: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        about = f"{self.noun} {self.name}".strip()
        return f"{about} {self.what}" + (f": {'; '.join(self.details)}" if self.details else "")

    def to_json(self) -> dict[str, Json]:
        """Give ``noun``, ``name``, ``what``, ``details``."""
        return {"noun": self.noun, "name": self.name, "what": self.what, "details": [*self.details]}


def difference(old: Plan, new: Plan) -> tuple[Changed, ...]:
    """Give what changes from one plan to the next; empty when nothing does.

    Order: the daemon's settings, worker groups, queues, tasks, schedules, each by name. Raises `PlanError`
    when something changes that cannot while the daemon runs.
    """
    for name in _LASTING:
        was, becomes = getattr(old.settings, name), getattr(new.settings, name)
        if was != becomes:
            message = f"{name} cannot change by reload (from {was or 'the default'} to {becomes or 'the default'})"
            raise PlanError(message, hint="Restart the daemon: jobctl stop, then start it again.")
    settings = details(old.settings, new.settings)
    changes = (
        [Changed(noun="daemon", name="", what="changed", details=settings)] if settings else []
    )
    changes.extend(_between("worker group", old.groups, new.groups))
    changes.extend(_between("queue", old.queues, new.queues))
    changes.extend(_between("task", old.tasks, new.tasks))
    changes.extend(_between("schedule", old.schedules, new.schedules))
    return tuple(changes)


def _between(
    noun: str, old: Mapping[str, DataclassInstance], new: Mapping[str, DataclassInstance]
) -> Iterator[Changed]:
    for name in sorted({*old, *new}):
        if name not in old:
            yield Changed(noun=noun, name=name, what="added")
        elif name not in new:
            yield Changed(noun=noun, name=name, what="removed")
        elif old[name] != new[name]:
            yield Changed(
                noun=noun, name=name, what="changed", details=details(old[name], new[name])
            )


def details(old: DataclassInstance, new: DataclassInstance) -> tuple[str, ...]:
    """Give what differs between two values of one table, a line for each key; secrets are not shown."""
    lines = []
    if isinstance(old, ScheduleSpec) and isinstance(new, ScheduleSpec):
        was, becomes = (f"{spec.when_key} = {spec.expression}" for spec in (old, new))
        if was != becomes:
            lines.append(f"{was} -> {becomes}")
    for bound in keys_of(type(new)).values():
        before, after = getattr(old, bound.field), getattr(new, bound.field)
        if before == after:
            continue
        name = bound.key.name
        if name in _SECRET:
            lines.append(f"{name} changed")
        else:
            lines.append(f"{name}: {shown_value(bound, before)} -> {shown_value(bound, after)}")
    return tuple(lines)


def shown_value(bound: BoundKey, value: Any) -> str:
    """Give the value of a key as a person would write it: ``"1h30m"``, ``true``, ``["a"]``."""
    if value is None:
        return bound.key.default_text or "not set"
    if bound.key.mark.unit == "seconds" and isinstance(value, int | float):
        return format_span(value)
    if bound.key.mark.unit == "bytes":
        return format_size(value)
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(bound.key.mark.write(value), ensure_ascii=False)
