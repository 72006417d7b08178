"""Warnings about the schedules of a file: allowed, but seldom meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.schedule import Kind, Schedule, bounded, moment_of, parse_schedule
from jobctl.schedule.lints import Lint, LintCode, lints_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobctl.clock import Moment
    from jobctl.plan.file import FilePlan
    from jobctl.plan.schedule_table import ScheduleSpec

MOST_RULES: Final = 500
"""Different rules that are looked at closely. A look at the clock changes of a year takes a millisecond;
beyond this only schedules are told that never fire again."""


def lints_of_file(
    file: FilePlan, *, now: Moment, host_timezone: str
) -> Iterator[tuple[ScheduleSpec, Lint]]:
    """Give each warning with the schedule that it is about, in the order of the file; may be none.

    The file must have been found right. Schedules that are not enabled are passed over.
    """
    zone = file.settings.timezone or host_timezone
    known: dict[Schedule, list[Lint]] = {}
    for spec in file.schedules:
        if not spec.enabled:
            continue
        rule = _rule(spec, spec.timezone or zone, now)
        lints = known.get(rule)
        if lints is None:
            lints = lints_of(rule, from_at=now) if len(known) < MOST_RULES else _end(rule, now)
            known[rule] = lints
        for lint in lints:
            yield spec, lint


def _end(rule: Schedule, now: Moment) -> list[Lint]:
    if rule.is_at_boot or rule.next_after(now) is not None:
        return []
    return [Lint(LintCode.NEVER_FIRES, "It never fires again: no instant is left.")]


def _rule(spec: ScheduleSpec, zone: str, now: Moment) -> Schedule:
    start, end = (
        None if text is None else moment_of(text, timezone=zone) for text in (spec.start, spec.end)
    )
    anchor_at = None
    if spec.kind == Kind.INTERVAL:
        anchor_at = now if start is None else start
    rule = parse_schedule(
        spec.kind, spec.expression, timezone=zone, anchor_at=anchor_at, dialect=spec.dialect
    )
    return bounded(rule, start_us=start, end_us=end)
