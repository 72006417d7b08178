"""What a reload changes, as lines that a person reads before trusting it."""

from __future__ import annotations

import json
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from jobctl.errors import PlanError
from jobctl.plan.schedule_table import ScheduleSpec
from jobctl.plan.senders import is_ours
from jobctl.steps import Steps, at_once, parts
from jobctl.task.keys import BoundKey, keys_of
from jobctl.task.units import format_size, format_span
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import DataclassInstance

    from jobctl.plan.force import Plan
    from jobctl.task.keys import Json

_SECRET: Final = frozenset({"env", "args", "kwargs", "url"})
_LASTING: Final = ("state_dir", "socket", "socket_group", "socket_mode")


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

    Order: the daemon's settings, those of metrics, worker groups, queues, tasks, schedules, routes, each by name. Raises `PlanError`
    when something changes that cannot while the daemon runs.
    """
    return at_once(differing(old, new))


def differing(old: Plan, new: Plan) -> Steps[tuple[Changed, ...]]:
    """Do what `difference` does, a part of it at a time."""
    for name in _LASTING:
        was, becomes = getattr(old.settings, name), getattr(new.settings, name)
        if was != becomes:
            message = f"{name} cannot change by reload (from {was or 'the default'} to {becomes or 'the default'})"
            raise PlanError(message, hint="Restart the daemon: jobctl stop, then start it again.")
    settings = details(old.settings, new.settings)
    changes = (
        [Changed(noun="daemon", name="", what="changed", details=settings)] if settings else []
    )
    if metrics := details(old.metrics, new.metrics):
        changes.append(Changed(noun="metrics", name="", what="changed", details=metrics))
    for noun, were, become in (
        ("worker group", old.groups, new.groups),
        ("queue", old.queues, new.queues),
        ("task", old.tasks, new.tasks),
        ("schedule", old.schedules, new.schedules),
        ("route", old.routes, new.routes),
    ):
        changes += yield from _between(noun, were, become)
    return tuple(changes)


def _between(
    noun: str, old: Mapping[str, DataclassInstance], new: Mapping[str, DataclassInstance]
) -> Steps[list[Changed]]:
    by_name = attrgetter("name")
    found: list[list[Changed]] = []
    for names in parts(old):
        changed = [
            _changed(noun, name, old[name], new.get(name))
            for name in names
            if old[name] != new.get(name) and not is_ours(name)
        ]
        found.append(sorted(changed, key=by_name))
        yield
    for names in parts(new):
        added = [
            _changed(noun, name, None, new[name])
            for name in names
            if name not in old and not is_ours(name)
        ]
        found.append(sorted(added, key=by_name))
        yield
    # Sorting all of a hundred thousand names would be no small part; merging what is sorted is many.
    ordered: list[Changed] = []
    for some in parts(merge(*found, key=by_name)):
        ordered.extend(some)
        yield
    return ordered


def _changed(
    noun: str, name: str, was: DataclassInstance | None, becomes: DataclassInstance | None
) -> Changed:
    if was is None or becomes is None:
        return Changed(noun=noun, name=name, what="added" if was is None else "removed")
    return Changed(noun=noun, name=name, what="changed", details=details(was, becomes))


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
