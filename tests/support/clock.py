"""A clock with two hands: the monotonic one only moves forward, the wall one may jump."""

from __future__ import annotations

from jobctl.clock import SECOND, Moment

START: Moment = 1_800_000_000 * SECOND
"""Where the wall clock of tests begins: 2027-01-15 08:00:00 UTC, an instant of no special kind."""


class FakeClock:
    """Keeps `jobctl.clock.Clock`. Only tests move it."""

    def __init__(self, now: Moment = START, monotonic: float = 1000.0) -> None:
        self._now = now
        self._monotonic = monotonic
        self._since_boot = round(monotonic * SECOND)

    def now(self) -> Moment:
        """The wall clock."""
        return self._now

    def monotonic(self) -> float:
        """The monotonic clock, seconds."""
        return self._monotonic

    def since_boot(self) -> Moment:
        """The clock that nobody sets, microseconds."""
        return self._since_boot

    def advance(self, seconds: float) -> Moment:
        """Time passes: both hands move. Gives back the wall clock."""
        assert seconds >= 0, "time does not run backwards; step() sets the wall clock"
        self._now += round(seconds * SECOND)
        self._monotonic += seconds
        self._since_boot += round(seconds * SECOND)
        return self._now

    def suspend(self, seconds: float) -> Moment:
        """The computer sleeps: the monotonic clock stands still. Gives back the wall clock."""
        self._now += round(seconds * SECOND)
        self._since_boot += round(seconds * SECOND)
        return self._now

    def boot(self, seconds: float) -> Moment:
        """The computer is off for so long and boots; its wall clock went on. Gives back the wall clock."""
        self._now += round(seconds * SECOND)
        self._monotonic = 0.0
        self._since_boot = 0
        return self._now

    def step(self, seconds: float) -> Moment:
        """Somebody sets the wall clock, forward or back; no time passes. Gives back the wall clock."""
        self._now += round(seconds * SECOND)
        return self._now

    def set(self, now: Moment) -> Moment:
        """Set the wall clock to a moment; no time passes."""
        self._now = now
        return now
