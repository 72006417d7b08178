"""Every so many seconds of real time. The wall clock and its zone have no say.

The instants are ``anchor + n * every`` for every whole n. With an anchor, usually the moment at
which the schedule was made, they keep their phase over restarts. Without one they are aligned: to
the Monday 1970-01-05 00:00 UTC, so that ``30s`` falls on full half minutes, ``1d`` on midnight UTC
and ``1w`` on Mondays.
"""

from __future__ import annotations

from typing import ClassVar

from jobctl.clock import SECOND
from jobctl.schedule.base import Kind, Schedule, ScheduleError
from jobctl.schedule.span import parse_span, span_text
from jobctl.values import dataclass

ALIGNED_AT = 4 * 86_400 * SECOND
_SHORTEST = SECOND
_LONGEST = 100 * 366 * 86_400 * SECOND


@dataclass(frozen=True, kw_only=True, slots=True)
class IntervalSchedule(Schedule):
    """See the module. ``every_us`` is the span, ``anchor_at`` any one of the instants."""

    kind: ClassVar[Kind] = Kind.INTERVAL

    every_us: int
    anchor_at: int = ALIGNED_AT

    @property
    def is_aligned(self) -> bool:
        """Whether no anchor of its own was given."""
        return self.anchor_at == ALIGNED_AT

    def next_after(self, moment_us: int) -> int | None:
        """The first instant strictly after the moment. There always is one."""
        passed = (moment_us - self.anchor_at) // self.every_us
        return self.anchor_at + (passed + 1) * self.every_us

    def previous_before(self, moment_us: int) -> int | None:
        """The last instant strictly before the moment. There always is one."""
        passed = (moment_us - 1 - self.anchor_at) // self.every_us
        return self.anchor_at + passed * self.every_us

    def count_between(self, after_us: int, until_us: int) -> int:
        """How many instants lie in (after, until]. One division, however many."""
        if until_us <= after_us:
            return 0
        upto = (until_us - self.anchor_at) // self.every_us
        return upto - (after_us - self.anchor_at) // self.every_us


def parse_interval(expression: str, *, timezone: str, anchor_at: int | None) -> IntervalSchedule:
    """An interval from a span such as ``1h30m``. Raises ScheduleError, also for less than 1 s."""
    every_us = parse_span(expression)
    if every_us < _SHORTEST:
        raise ScheduleError(
            f'"{expression}" is shorter than a second', "The shortest interval is one second."
        )
    if every_us > _LONGEST:
        raise ScheduleError(
            f'"{expression}" is longer than a hundred years', "Is the unit the right one?"
        )
    return IntervalSchedule(
        normal=span_text(every_us),
        timezone=timezone,
        every_us=every_us,
        anchor_at=ALIGNED_AT if anchor_at is None else anchor_at,
    )
