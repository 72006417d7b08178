"""What every schedule promises, whatever its kind.

A schedule is a pure rule that gives instants. It reads no clock and keeps no state: two equal
schedules give the same instants in every process, and asking twice gives the same answer. Moments
are integer microseconds since 1970-01-01 00:00 UTC. What becomes of an instant (submitted, skipped,
missed) is the beat's business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import TYPE_CHECKING

from jobctl.errors import UsageError
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator


class ScheduleError(UsageError):
    """A schedule that cannot be: not understood, out of range, or without any instant.

    ``column`` counts from 1 in the text of the expression; it is 0 when no place can be named.
    """

    code = "schedule"

    def __init__(self, message: str, hint: str = "", *, column: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.column = column


class Kind(StrEnum):
    """How a schedule is written."""

    INTERVAL = "interval"
    """Every so many seconds of real time, counted from an anchor."""
    CRONTAB = "crontab"
    """Local times that five or six fields name."""
    CLOCKED = "clocked"
    """One moment, then done."""
    SOLAR = "solar"
    """An event of the sun at a place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule(ABC):
    """One rule. ``normal`` is its normal form: parsed again in the same way it gives an equal rule.

    ``timezone`` is the zone in which the rule was written and in which its instants are shown; it
    moves the instants of crontabs and of clocked moments without an offset, and no others.
    """

    normal: str
    timezone: str

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """How it is written. The same for all schedules of a class, but for one between bounds."""

    @property
    def is_at_boot(self) -> bool:
        """Whether this is ``@reboot``: no instants, one run for each boot of the host."""
        return False

    @abstractmethod
    def next_after(self, moment_us: int) -> int | None:
        """The first instant strictly after the moment; None when there is none any more."""

    @abstractmethod
    def previous_before(self, moment_us: int) -> int | None:
        """The last instant strictly before the moment; None when there was none."""

    @abstractmethod
    def count_between(self, after_us: int, until_us: int) -> int:
        """How many instants lie in (after, until]. Far cheaper than listing them."""

    def between(self, after_us: int, until_us: int) -> Iterator[int]:
        """Each instant in (after, until], rising, without repeats; computed as it is asked for."""
        instant = self.next_after(after_us)
        while instant is not None and instant <= until_us:
            yield instant
            instant = self.next_after(instant)
