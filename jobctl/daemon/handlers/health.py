"""What is not as it should be, for a monitoring system: `jobctl.protocol.requests.Health`.

It is asked every minute by some, and there may be a hundred thousand schedules: so it goes in slices, and
only the first findings of each kind are told by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobctl.beat.entry import State as ScheduleState
from jobctl.beat.rules import due_by_row
from jobctl.clock import SECOND
from jobctl.daemon.handlers.schedules import SLICE_ROWS, schedules_named
from jobctl.daemon.last_runs import looking_back
from jobctl.errors import StorageError, UsageError
from jobctl.job import Reason, State
from jobctl.store import attempts as attempt_rows
from jobctl.store import daemons as daemon_rows
from jobctl.store import jobs as job_rows
from jobctl.store import schedules as schedule_rows
from jobctl.store.jobs import is_ready_line, owner_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from jobctl.clock import Moment
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests
    from jobctl.store.schedules import StoredSchedule

    Slice = Generator[None, None, dict[str, Any]]

KINDS: Final = ("late", "missed", "failed", "waiting", "unavailable")
"""What can be found, worst first."""

MOST_NAMED: Final = 10
"""So many findings of each kind are told by name; the others are counted."""

_MEANT_SO: Final = frozenset({Reason.CANCELLED.value, Reason.IGNORED.value, Reason.PURGED.value})
"""A person has ended the job, or its function by its own wish: that is no failure."""


def health(station: Station, call: Call, request: requests.Health) -> Slice:
    """See the module."""
    if request.late_s < 0 or request.waiting_s < 0:
        raise UsageError("late_s and waiting_s are no less than 0")
    trouble = station.trouble()
    if trouble is not None:
        # Nothing begins any more: that is worse than whatever else could be told.
        raise StorageError(trouble, hint="See the daemon's log.")
    return _Look(station, request).slices()


class _Look:
    """One look over everything."""

    def __init__(self, station: Station, request: requests.Health) -> None:
        self._station = station
        self._request = request
        self._now = station.clock.now()
        self._is_up = station.ask_stop is not None
        self._rows: Mapping[str, StoredSchedule] = {}
        self._counts = dict.fromkeys(KINDS, 0)
        self._findings: list[dict[str, Any]] = []

    def slices(self) -> Slice:
        """A slice a turn; gives back the answer."""
        names = yield from self._names()
        for number, name in enumerate(names, start=1):
            self._look_at_schedule(name)
            if number % SLICE_ROWS == 0:
                yield
        told = self._about_itself(len(names))
        if self._request.schedules is None:
            if self._is_up:
                # Without a daemon nobody has imported their code.
                self._look_at_tasks()
            told |= yield from self._look_at_queues()
        return told | {"counts": self._counts, "findings": self._findings}

    def _names(self) -> Generator[None, None, Sequence[str]]:
        if not self._is_up:
            self._rows = schedule_rows.all(self._station.database)
        if self._request.schedules is None:
            return list(self._station.plan.schedules if self._is_up else self._rows)
        found: dict[str, None] = {}
        for name in self._request.schedules:
            named = yield from schedules_named(self._station, name, also_removed=name in self._rows)
            found.update((schedule, None) for schedule, _ in named)
        return list(found)

    def _about_itself(self, schedules: int) -> dict[str, Any]:
        station = self._station
        served, _ = daemon_rows.around(station.database, self._now)
        return {
            "daemon": "up" if self._is_up else "down",
            "stopped_at": served.stopped_at if served is not None and not self._is_up else None,
            "schedules": schedules,
            "running": sum(n for _, _, n in job_rows.count_started(station.database)),
        }

    def _find(
        self, kind: str, name: str, at: Moment | None, *, job: int | None = None, said: str = ""
    ) -> None:
        self._counts[kind] += 1
        if self._counts[kind] <= MOST_NAMED:
            self._findings.append(
                {"kind": kind, "name": name, "at": at, "job_id": job, "said": said}
            )

    # -- schedules --------------------------------------------------------------------------------

    def _look_at_schedule(self, name: str) -> None:
        due_at = self._due_at(name)
        if due_at is not None and due_at <= self._now - self._request.late_s * SECOND:
            self._find("late", name, due_at)
        row = schedule_rows.find(self._station.database, name)
        if row is not None:
            self._look_at_last_run(name, row.id)

    def _due_at(self, name: str) -> Moment | None:
        """When its next instant makes a job, jitter included; None: it makes none."""
        entry = self._station.beat.entries().get(name)
        if self._is_up:
            is_active = entry is not None and entry.state is ScheduleState.ACTIVE
            return entry.due_at if entry is not None and is_active else None
        row = self._rows.get(name)
        due_at = None if row is None else due_by_row(row)
        return due_at if due_at is None or entry is None else due_at + entry.delay_us

    def _look_at_last_run(self, name: str, schedule: int) -> None:
        """The newest instant that was served or missed, and how its job ended. One that still runs has the
        run before it tell."""
        past = next(looking_back(self._station.database, schedule), None)
        if past is None:
            return
        fire, job = past
        if job is None:
            self._find("missed", name, fire["last"], said=str(fire["reason"] or ""))
            return
        is_failure = job["state"] == State.FAILURE or (
            job["state"] == State.REVOKED and job["reason"] not in _MEANT_SO
        )
        if is_failure:
            said = self._how_it_ended(job["id"], str(job["reason"] or ""))
            self._find("failed", name, job["finished_at"], job=job["id"], said=said)

    def _how_it_ended(self, job_id: int, reason: str) -> str:
        last = attempt_rows.get(self._station.database, job_id, longest_bytes=0)
        if last is None:
            return reason
        if last["exit_code"] is not None:
            return f"exit code {last['exit_code']}"
        return f"signal {last['signal']}" if last["signal"] is not None else reason

    # -- tasks and queues -------------------------------------------------------------------------

    def _look_at_tasks(self) -> None:
        for name, why in sorted(self._station.plan.unavailable.items()):
            self._find("unavailable", name, None, said=why)

    def _look_at_queues(self) -> Generator[None, None, dict[str, Any]]:
        """What waits in queues; a job that is held by a limit of its key has a place in none of them."""
        lines = job_rows.count_lines(self._station.database)
        ready = 0
        oldest: dict[str, Moment] = {}
        for number, (line, count) in enumerate(lines.items(), start=1):
            if is_ready_line(line):
                ready += count
                queue, _ = owner_of(line)
                for since in job_rows.waiting_since(self._station.database, line):
                    oldest[queue] = min(since, oldest.get(queue, since))
            if number % SLICE_ROWS == 0:
                yield
        too_old = self._now - self._request.waiting_s * SECOND
        paused = self._station.dispatcher.paused
        for queue, since in sorted(oldest.items(), key=lambda one: one[1]):
            if since <= too_old:
                self._find("waiting", queue, since, said="paused" if queue in paused else "")
        age_us = self._now - min(oldest.values()) if oldest else 0
        return {"ready": ready, "oldest_s": max(age_us, 0) / SECOND}
