"""Noticing that somebody set the wall clock, or that the host slept.

The wall clock and the one that counts from the boot go at the same speed, so their distance only changes
when the wall clock is set. That distance is remembered in the store together with the boot, so that a step
is noticed too that was made while no daemon ran. Over a reboot nothing can be known: then the wall clock
is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.clock import SECOND
from jobctl.store import meta

if TYPE_CHECKING:
    from jobctl.clock import HostClock, Moment
    from jobctl.store.database import Database

LEAST_STEP: Final = SECOND
"""Smaller steps are left alone until they add up to this: somebody corrects a clock every few minutes."""

_AT_ONCE: Final = 10_000
"""Microseconds within which two clocks must be read to be compared."""

_NAME: Final = "beat_clock"


class Hands:
    """Compares the hands of the clock. Nothing of it is written before `remember`."""

    def __init__(self, clock: HostClock, boot_id: str) -> None:
        self._clock = clock
        self._boot_id = boot_id
        self._distance: Moment | None = None
        self._asleep = self._time_asleep()
        self._late: tuple[Moment, str] | None = None

    def _time_asleep(self) -> Moment:
        """How long the host has slept since it booted."""
        return self._clock.since_boot() - round(self._clock.monotonic() * SECOND)

    def _measure(self) -> Moment | None:
        """The distance between the wall clock and the one since boot; None when it cannot be told now."""
        before = self._clock.since_boot()
        wall = self._clock.now()
        if self._clock.since_boot() - before > _AT_ONCE:
            # Something held this process up between the two looks. The next turn looks again.
            return None
        return wall - before

    def read(self, database: Database) -> None:
        """Go by what the store remembers of this boot; in another boot by nothing."""
        boot_id, _, distance = (meta.get(database, _NAME) or "").partition(" ")
        self._distance = int(distance) if boot_id == self._boot_id else None

    def step(self) -> Moment:
        """By how many microseconds the wall clock was set since the last `remember`; 0 if it was not."""
        if self._distance is None:
            return 0
        found = self._measure()
        by = 0 if found is None else found - self._distance
        return by if abs(by) >= LEAST_STEP else 0

    def remember(self, database: Database) -> None:
        """Take the hands as they stand for right, from now on, inside a transaction."""
        found = self._measure()
        if found is None:
            return
        self._distance = found
        text = f"{self._boot_id} {found}"
        if meta.get(database, _NAME) != text:
            meta.set(database, _NAME, text)

    @property
    def is_known(self) -> bool:
        """The hands were compared in this boot of the host."""
        return self._distance is not None

    # -- why something was noticed late ---------------------------------------------------------------

    def note_step(self, by: Moment) -> None:
        """Keep in mind that moments were left out."""
        if by > 0:
            self._late = (self._clock.now(), "the clock was set forward over it")

    def note_sleep(self) -> None:
        """Look whether the host slept since the last look."""
        asleep = self._time_asleep()
        if asleep - self._asleep >= LEAST_STEP:
            self._late = (self._clock.now(), "the host was suspended")
        self._asleep = asleep

    def why_late(self, instant: Moment) -> str | None:
        """Why an instant was noticed late by a daemon that ran; None: by no fault of the clock."""
        return self._late[1] if self._late is not None and instant <= self._late[0] else None
