"""Limits by load: jobs that wait while the host is busy, or while it is short of memory.

The kernel tells of both too late. A job that begins now is seen whole in the load average only after some
minutes, and nobody knows how much memory it will take. So a limit that looked at these figures alone would
start everything that waits in the moment in which the host has room for one. Therefore what has just begun
under such a limit counts for itself: towards the load with the share that the average does not show yet, towards
memory by letting no other one begin until it has run for a while or has ended. Which these are is read from
the rows of those that run (P9); nothing is counted that could leak.

Nothing announces that the host has room again. While a job waits for it and for nothing else, somebody looks
every `LOOK_S`, which is how often the kernel counts anew; while none does, nobody looks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

from jobctl.clock import SECOND
from jobctl.plan.senders import QUEUE as MESSAGES
from jobctl.store import jobs as job_rows
from jobctl.store.jobs import owner_of
from jobctl.task.units import format_size
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.clock import Moment
    from jobctl.plan import Plan, Queue
    from jobctl.plan.tables import DaemonSettings
    from jobctl.store.database import Database
    from jobctl.task import Task

LOOK_S: Final = 5.0
"""How often to look while a job waits for nothing but the host; the kernel counts its load as often."""

AVERAGE_S: Final = 60.0
"""The load average of a minute falls short by e^(-t/60) of what has been there for t seconds: proc_loadavg(5),
kernel/sched/loadavg.c."""

SETTLE_S: Final = 5.0
"""How long a job runs before the memory that is free is believed to be what it leaves."""

UNLIMITED: Final = 1 << 62
_MEMORY_S: Final = 5 * AVERAGE_S
"""What began before is in the average but for less than a hundredth."""

_FRESH_US: Final = SECOND // 10
"""The figures of the host are not read more often: a listing explains a thousand jobs with them."""


class HostLoad(Protocol):
    """The figures of the host; None: they cannot be read."""

    def average(self) -> float | None:
        """The processes that ran or waited for the processor or a disk, averaged over the last minute."""
        ...

    def free_bytes(self) -> int | None:
        """The memory that processes could be given without swapping."""
        ...


@dataclass(frozen=True, slots=True)
class LoadLimit:
    """What one table says: jobs begin while the load is below ``max_load`` and this much memory is free."""

    about: str
    max_load: float | None
    min_free_bytes: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """The host at one moment. ``ages_s``: how long those jobs run that began under a limit by load."""

    average: float | None
    free_bytes: int | None
    ages_s: Sequence[float]

    @property
    def unseen(self) -> float:
        """What the average does not show yet, were each of these jobs busy from its start on."""
        return sum(math.exp(-age_s / AVERAGE_S) for age_s in self.ages_s)

    @property
    def is_settling(self) -> bool:
        """A job has begun of which nobody can know yet how much memory it takes."""
        return any(age_s < SETTLE_S for age_s in self.ages_s)


def room_of(limit: LoadLimit, seen: Seen) -> int:
    """How many more jobs may begin now."""
    room = UNLIMITED
    if limit.max_load is not None:
        if seen.average is None:
            return 0
        room = max(math.ceil(limit.max_load - seen.average - seen.unseen), 0)
    if limit.min_free_bytes is not None:
        is_free = seen.free_bytes is not None and seen.free_bytes >= limit.min_free_bytes
        room = min(room, 1 if is_free and not seen.is_settling else 0)
    return room


def why_no_room(limit: LoadLimit, seen: Seen) -> str | None:
    """Why no job may begin now, for people; None: one may."""
    if limit.max_load is not None:
        if seen.average is None:
            return f"the load of this host cannot be read, and {limit.about} has a max_load"
        if seen.average >= limit.max_load:
            return (
                f"the load of this host is {seen.average:.2f}, "
                f"and {limit.about} starts jobs below {limit.max_load:g}"
            )
        if room_of(LoadLimit(limit.about, limit.max_load, None), seen) == 0:
            return (
                f"{limit.about} starts jobs below a load of {limit.max_load:g}, "
                "and what has just begun is not in the average yet"
            )
    if limit.min_free_bytes is not None:
        if seen.free_bytes is None:
            return f"the free memory of this host cannot be read, and {limit.about} has a min_free_memory"
        if seen.free_bytes < limit.min_free_bytes:
            return (
                f"this host has {seen.free_bytes >> 20} MiB of free memory, "
                f"and {limit.about} starts jobs from {format_size(limit.min_free_bytes)} on"
            )
        if seen.is_settling:
            return f"{limit.about} waits to see how much memory the job takes that has just begun"
    return None


class LoadLimits:
    """The limits of a plan over the host. What it has seen of it holds for one transaction."""

    def __init__(self, database: Database, host: HostLoad) -> None:
        self._database = database
        self._host = host
        self._plan: Plan | None = None
        self._limits: dict[str, tuple[LoadLimit, ...]] = {}
        self._now: Moment = 0
        self._read_at: Moment | None = None
        self._figures: tuple[float | None, int | None] = (None, None)
        self._ages_s: list[float] | None = None

    def take(self, plan: Plan) -> None:
        """Go by this plan from now on."""
        self._plan = plan
        self._limits.clear()
        self._ages_s = None

    def begin(self, now: Moment) -> None:
        """A transaction begins: look again."""
        self._now = now
        self._ages_s = None

    def room(self, line: str) -> int:
        """How many more jobs of a ready line may begin."""
        limits = self._limits_of(line)
        if not limits:
            return UNLIMITED
        seen = self._look()
        return min(room_of(limit, seen) for limit in limits)

    def note(self, line: str, count: int) -> None:
        """So many jobs of a ready line begin, in this transaction."""
        if count and self._limits_of(line):
            self._look()
            assert self._ages_s is not None
            self._ages_s += [0.0] * count

    def why_not(self, line: str) -> str | None:
        """What keeps the jobs of a line from beginning, for people; None: no limit by load does."""
        limits = self._limits_of(line)
        if not limits:
            return None
        seen = self._look()
        return next((why for limit in limits if (why := why_no_room(limit, seen))), None)

    def _look(self) -> Seen:
        if self._read_at is None or not 0 <= self._now - self._read_at < _FRESH_US:
            self._figures = self._host.average(), self._host.free_bytes()
            self._read_at = self._now
        if self._ages_s is None:
            since = self._now - int(_MEMORY_S * SECOND)
            # A clock that was set back makes none of them younger than new.
            self._ages_s = [
                max(self._now - begun_at, 0) / SECOND
                for queue, task, begun_at in job_rows.begun(self._database, since=since)
                if self._find(queue, task)
            ]
        return Seen(*self._figures, self._ages_s)

    def _limits_of(self, line: str) -> tuple[LoadLimit, ...]:
        limits = self._limits.get(line)
        if limits is None:
            limits = self._limits[line] = self._find(*owner_of(line))
        return limits

    def _find(self, queue: str, name: str | None) -> tuple[LoadLimit, ...]:
        assert self._plan is not None
        if queue == MESSAGES:
            # That a host is busy is no reason to tell nobody of it.
            return ()
        task = self._plan.find(name) if name is not None else None
        tables: list[tuple[str, DaemonSettings | Queue | Task]]
        tables = [("[daemon]", self._plan.settings), (f'queue "{queue}"', self._plan.queue(queue))]
        if task is not None:
            tables.append((f'task "{task.name}"', task))
        return tuple(
            LoadLimit(about, table.max_load, table.min_free_memory_bytes)
            for about, table in tables
            if table.has_load_limit
        )
