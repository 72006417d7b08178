"""The rule of a schedule as text, and back: what the store keeps of each rule that was ever in force.

The *identity* of a rule is JSON of all that decides which instants it has and that a person has chosen:
two schedules of one identity and one anchor have the same instants, with the same zone data. ``kind``,
``expression`` and ``timezone`` are always there; ``dialect``, ``start``, ``end``, ``max_runs``, ``seed``
(for ``H`` and ``~``) and ``enabled`` only where they are not as usual.

``max_runs`` and ``enabled`` change what becomes of instants and not where they lie. They are part of the
identity all the same: with them a row tells by itself whether its schedule was disabled or done.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from jobctl.protocol.compact import dumps
from jobctl.schedule import (
    Kind,
    Schedule,
    ScheduleError,
    bounded,
    moment_of,
    parse_schedule,
    zone_named,
    zone_readings,
)

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.plan import ScheduleSpec
    from jobctl.store.schedules import StoredSchedule

_DRAWN: Final = re.compile(r"(?<![A-Z])H(?![A-Z])|~", re.IGNORECASE)
_OF_BASE: Final = ("enabled", "max_runs")
_INTERVAL: Final = '{"kind":"interval",'


class NoInstants(Schedule):
    """Stands for a rule that cannot be understood any more: its zone is gone from the host, say."""

    __slots__ = ()

    @property
    def kind(self) -> Kind:
        """Nobody knows; the plan does."""
        return Kind.CRONTAB

    def next_after(self, moment_us: int) -> None:
        """No instant is known."""

    def previous_before(self, moment_us: int) -> None:
        """No instant is known."""

    def count_between(self, after_us: int, until_us: int) -> int:
        """No instant is known."""
        return 0


def identity_of(spec: ScheduleSpec, host: str) -> str:
    """The identity of a schedule of the plan. ``host`` seeds what ``H`` and ``~`` draw."""
    is_drawn = spec.kind == Kind.CRONTAB and _is_drawn(spec.expression)
    return _identity_of(
        spec.kind,
        spec.expression,
        spec.timezone or "UTC",
        spec.dialect,
        f"{spec.name}@{host}" if is_drawn else None,
        spec.start,
        spec.end,
        spec.max_runs,
        spec.enabled,
    )


@lru_cache(maxsize=16_384)
def _is_drawn(expression: str) -> bool:
    return _DRAWN.search(expression) is not None


@lru_cache(maxsize=16_384)
def _identity_of(
    kind: str,
    expression: str,
    timezone: str,
    dialect: str,
    seed: str | None,
    start: str | None,
    end: str | None,
    max_runs: int | None,
    is_enabled: bool,
) -> str:
    found: dict[str, Any] = {"kind": kind, "expression": expression, "timezone": timezone}
    if dialect != "cronie":
        found["dialect"] = dialect
    if seed is not None:
        found["seed"] = seed
    if start is not None:
        found["start"] = start
    if end is not None:
        found["end"] = end
    if max_runs is not None:
        found["max_runs"] = max_runs
    if not is_enabled:
        found["enabled"] = False
    return dumps(found)


def base_of(identity: str) -> dict[str, Any]:
    """What decides where the instants lie. An edit that leaves it as it was keeps anchor and count."""
    return {name: value for name, value in json.loads(identity).items() if name not in _OF_BASE}


def was_enabled(identity: str) -> bool:
    """Whether the instants of this rule made jobs."""
    return bool(json.loads(identity).get("enabled", True))


def max_runs_of(identity: str) -> int | None:
    """After how many jobs a schedule of this rule is done; None: never."""
    found: int | None = json.loads(identity).get("max_runs")
    return found


def rule_of(identity: str, anchor_at: Moment) -> Schedule:
    """The rule of an identity. Raises ScheduleError: it cannot be understood any more.

    An interval is counted from its ``start`` if it has one, else from the anchor. Equal rules are one
    object: of a hundred thousand schedules most have the same few.
    """
    is_anchored = identity.startswith(_INTERVAL)
    return _rule_of(identity, anchor_at if is_anchored else None, zone_readings())


@lru_cache(maxsize=16_384)
def _rule_of(identity: str, anchor_at: Moment | None, _readings: int) -> Schedule:
    found = json.loads(identity)
    timezone = found["timezone"]
    start_us, end_us = (
        None if found.get(name) is None else moment_of(found[name], timezone=timezone)
        for name in ("start", "end")
    )
    rule = parse_schedule(
        found["kind"],
        found["expression"],
        timezone=timezone,
        anchor_at=anchor_at if start_us is None else start_us,
        dialect=found.get("dialect", "cronie"),
        host_seed=found.get("seed", ""),
    )
    return bounded(rule, start_us=start_us, end_us=end_us)


def due_by_row(row: StoredSchedule) -> Moment | None:
    """The next instant that is to make a job, by what the store alone knows of a schedule; None: none.

    For whoever looks while no daemon runs: a plan that is made then may be another one than that in force.
    Jitter is the plan's, and is not in it; nor is an ``@reboot``.
    """
    most = max_runs_of(row.identity)
    if not was_enabled(row.identity) or (most is not None and row.runs >= most):
        return None
    if row.paused_at is not None and row.paused_until is None:
        return None
    try:
        rule = rule_of(row.identity, row.anchor_at)
    except ScheduleError:
        return None
    after = row.watermark
    if row.paused_until is not None:
        # An instant at the end of a pause counts.
        after = max(after, row.paused_until - 1)
    return None if rule.is_at_boot else rule.next_after(after)


def follows_wall_clock(spec: ScheduleSpec) -> bool:
    """Whether the instants are moments of the wall clock, which a clock that is set does not move.

    The others are intervals without a start: so much time between two instants, whatever clocks say.
    """
    return spec.kind != Kind.INTERVAL or spec.start is not None


def zone_data_of(spec: ScheduleSpec) -> str | None:
    """What names the zone data by which the instants are computed; None: zones do not matter."""
    if spec.kind in (Kind.INTERVAL, Kind.SOLAR) and spec.start is None and spec.end is None:
        return None
    try:
        return zone_named(spec.timezone or "UTC").data
    except ScheduleError:
        return None
