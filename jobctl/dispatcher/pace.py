"""How fast jobs may start: the generic cell rate algorithm, as plain arithmetic.

All that has to be remembered of a rate is one moment (P9): up to when what has started uses the rate up.
Each start moves it on by the spacing; a start is allowed while it lies less than ``burst`` spacings ahead.
So no span of time sees more starts than it gives by the rate, and the burst. ITU-T I.371 calls the moment
the theoretical arrival time.

All moments and spans are whole microseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.values import dataclass

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.task.units import Rate

EASE_US: Final = 100_000
"""What a rate gives in a tenth of a second may start together unless a burst is written: a high rate would
fall short otherwise, since nobody wakes up on the microsecond."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate: ``spacing`` between two starts when they are spread evenly, ``burst`` starts at once, at
    least 1."""

    spacing: int
    burst: int

    def settle(self, used_until: Moment, now: Moment) -> Moment:
        """Where the moment stands now. It never lies in the past, nor further ahead than starts can bring
        it: then the clock was set back, or the rate was a lower one before."""
        return min(max(used_until, now), now + self.burst * self.spacing)

    def allowed(self, used_until: Moment, now: Moment) -> int:
        """How many may start now; ``used_until`` as `settle` gives it."""
        return (now + self.burst * self.spacing - used_until) // self.spacing

    def advance(self, used_until: Moment, count: int) -> Moment:
        """The moment after so many starts."""
        return used_until + count * self.spacing

    def next_at(self, used_until: Moment) -> Moment:
        """From when on one may start."""
        return used_until - (self.burst - 1) * self.spacing


def pace_of(rate: Rate, burst: int | None) -> Pace:
    """The pace of a rate; ``burst`` None: what the rate gives in `EASE_US`, at least 1."""
    spacing = rate.spacing_us
    return Pace(spacing, burst if burst is not None else max(1, EASE_US // spacing))
