"""Due instants become jobs, and every instant gets its fate.

For each schedule the store holds a watermark: every instant up to it has its fate. A step looks at the
instants between the watermark and now and decides about all of them in the turn's transaction: fire
rows, jobs and the watermark are written together or not at all, so an instant is served once whatever
happens. The watermark never moves back, so a clock that is set back repeats nothing.

An instant that is noticed more than `GRACE_S` late counts as missed: nobody was there. What follows is
the task's ``on_missed``. Of several instants within the grace the last one is served, the others are
coalesced into it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobctl.clock import SECOND, Clock, Moment
from jobctl.errors import JobctlError
from jobctl.logs import fields, logger
from jobctl.plan import Plan, ScheduleSpec
from jobctl.protocol.compact import dumps
from jobctl.schedule import Schedule, parse_schedule
from jobctl.store import fires as fire_rows
from jobctl.store import jobs as job_rows
from jobctl.store import schedules as schedule_rows
from jobctl.store.fires import Fire

if TYPE_CHECKING:
    from jobctl.store.database import Database
    from jobctl.store.schedules import StoredSchedule

GRACE_S: Final = 60
"""How late an instant may be noticed and still be served as if nothing had happened."""

MISSED_LIMIT: Final = 100
"""Most jobs that ``on_missed = "all"`` makes at once; the older instants are recorded as missed."""

SLICE: Final = 500
"""Schedules that are served in one turn."""

Submit = Callable[[ScheduleSpec, int, Moment], int]
"""Adds the job of an instant inside the turn's transaction: ``(schedule, its id, instant)`` → job id."""


@dataclass(slots=True)
class Entry:
    """A schedule in force."""

    spec: ScheduleSpec
    rule: Schedule
    row: StoredSchedule
    watermark: Moment
    next_at: Moment | None


class Beat:
    """See the module."""

    def __init__(self, *, database: Database, clock: Clock, submit: Submit) -> None:
        self._database = database
        self._clock = clock
        self._submit = submit
        self._plan: Plan | None = None
        self._entries: dict[str, Entry] = {}
        self._heap: list[tuple[Moment, str]] = []
        self._is_stopped = False

    # -- the plan ---------------------------------------------------------------------------------

    def take_plan(self, plan: Plan, now: Moment) -> None:
        """Go by this plan; inside a transaction.

        A new or edited schedule begins now and replays nothing; one that is as it was goes on from its
        watermark; one that is gone leaves its history.
        """
        stored = schedule_rows.all(self._database)
        entries: dict[str, Entry] = {}
        for name, spec in plan.schedules.items():
            if not spec.enabled:
                continue
            entries[name] = self._entry(spec, stored.get(name), now)
        for name in stored.keys() - entries.keys():
            schedule_rows.remove(self._database, name=name, now=now)
        self._plan = plan
        self._entries = entries
        self._heap = [(e.next_at, name) for name, e in entries.items() if e.next_at is not None]
        heapq.heapify(self._heap)

    def _entry(self, spec: ScheduleSpec, row: StoredSchedule | None, now: Moment) -> Entry:
        identity = dumps([spec.kind, spec.expression, spec.timezone, spec.dialect])
        if row is None or row.identity != identity:
            row = schedule_rows.add(
                self._database, name=spec.name, identity=identity, anchor_at=now, now=now
            )
        rule = parse_schedule(
            spec.kind,
            spec.expression,
            timezone=spec.timezone or "UTC",
            anchor_at=row.anchor_at,
            dialect=spec.dialect,
        )
        return Entry(spec, rule, row, row.watermark, rule.next_after(row.watermark))

    def stop(self) -> None:
        """Make no more jobs."""
        self._is_stopped = True

    # -- the turn ---------------------------------------------------------------------------------

    def deadline(self, now: Moment, monotonic: float) -> float | None:
        """When the next instant is due, on the monotonic clock."""
        if not self._heap or self._is_stopped:
            return None
        return monotonic + max(self._heap[0][0] - now, 0) / SECOND

    def is_due(self, now: Moment) -> bool:
        """An instant waits to be served."""
        return bool(self._heap) and self._heap[0][0] <= now and not self._is_stopped

    def step(self, now: Moment) -> None:
        """Serve what is due, inside a transaction; after `SLICE` schedules the rest has to wait a turn.

        What is remembered here is set right by `recover` when the transaction fails.
        """
        for _ in range(SLICE):
            if not self.is_due(now):
                return
            _, name = heapq.heappop(self._heap)
            entry = self._entries[name]
            self._serve(entry, now)
            if entry.next_at is not None:
                heapq.heappush(self._heap, (entry.next_at, name))

    def recover(self) -> None:
        """The transaction of the last step failed: go back to the store's watermarks."""
        stored = schedule_rows.all(self._database)
        for name, entry in self._entries.items():
            row = stored.get(name)
            if row is not None and row.watermark != entry.watermark:
                entry.watermark = row.watermark
                entry.next_at = entry.rule.next_after(row.watermark)
        self._heap = [
            (entry.next_at, name)
            for name, entry in self._entries.items()
            if entry.next_at is not None
        ]
        heapq.heapify(self._heap)

    def _serve(self, entry: Entry, now: Moment) -> None:
        """Decide about every instant from the watermark up to now."""
        assert self._plan is not None
        first = entry.next_at
        assert first is not None
        last = entry.rule.previous_before(now + 1)
        assert last is not None
        task = self._plan.find(entry.spec.task)
        if task is None:
            self._write(entry, first, last, "held", f'no such task "{entry.spec.task}"')
        else:
            on_missed = self._plan.on_missed_of(entry.spec)
            if now - last > GRACE_S * SECOND and on_missed == "skip":
                self._write(entry, first, last, "missed", "no daemon was running")
            elif on_missed == "all":
                self._serve_all(entry, first, last)
            else:
                self._serve_last(entry, first, last, now, on_missed)
        entry.watermark = last
        schedule_rows.advance(self._database, id=entry.row.id, watermark=last)
        entry.next_at = entry.rule.next_after(last)

    def _serve_last(
        self, entry: Entry, first: Moment, last: Moment, now: Moment, on_missed: str
    ) -> None:
        """One job for the last instant; the earlier ones were missed or are coalesced into it."""
        if first < last:
            before_last = entry.rule.previous_before(last)
            assert before_last is not None
            grace_begins = now - GRACE_S * SECOND
            if on_missed == "once" or first >= grace_begins:
                self._write(entry, first, before_last, "coalesced", "served by the next instant")
            elif before_last < grace_begins:
                self._write(entry, first, before_last, "missed", "no daemon was running")
            else:
                last_missed = entry.rule.previous_before(grace_begins)
                assert last_missed is not None
                first_kept = entry.rule.next_after(last_missed)
                assert first_kept is not None
                self._write(entry, first, last_missed, "missed", "no daemon was running")
                self._write(
                    entry, first_kept, before_last, "coalesced", "served by the next instant"
                )
        self._fire(entry, last)

    def _serve_all(self, entry: Entry, first: Moment, last: Moment) -> None:
        """A job for each instant, up to a limit; the oldest beyond it are recorded as missed."""
        count = entry.rule.count_between(first - 1, last)
        instants: list[Moment] = []
        moment: Moment | None = last
        while moment is not None and moment >= first and len(instants) < MISSED_LIMIT:
            instants.append(moment)
            moment = entry.rule.previous_before(moment)
        instants.reverse()
        if count > len(instants):
            before = entry.rule.previous_before(instants[0])
            assert before is not None
            self._write(entry, first, before, "missed", f"more than {MISSED_LIMIT} at once")
        for instant in instants:
            self._fire(entry, instant)

    def _fire(self, entry: Entry, instant: Moment) -> None:
        """Serve one instant: a job, unless an earlier one of this schedule is unfinished."""
        assert self._plan is not None
        if self._plan.on_overlap_of(entry.spec) == "skip":
            earlier = job_rows.unfinished_of_schedule(
                self._database, schedule=entry.row.id, limit=1
            )
            if earlier:
                job_id, state = earlier[0][:2]
                reason = f"job {job_id} of this schedule is {state}"
                self._write(entry, instant, instant, "skipped", reason)
                return
        try:
            job_id = self._submit(entry.spec, entry.row.id, instant)
        except JobctlError as error:
            # The plan was checked; only what changed since then (a user, a group) can end up here.
            logger.error(
                "a due job could not be made",
                extra=fields(schedule=entry.spec.name, reason=error.message),
            )
            self._write(entry, instant, instant, "held", error.message)
            return
        fire_rows.add(
            self._database,
            Fire(
                schedule=entry.row.id,
                first=instant,
                last=instant,
                count=1,
                fate="submitted",
                job_id=job_id,
            ),
        )

    def _write(self, entry: Entry, first: Moment, last: Moment, fate: str, reason: str) -> None:
        count = 1 if first == last else entry.rule.count_between(first - 1, last)
        fire_rows.add(
            self._database,
            Fire(
                schedule=entry.row.id,
                first=first,
                last=last,
                count=count,
                fate=fate,
                reason=reason,
            ),
        )

    # -- looking ----------------------------------------------------------------------------------

    def entries(self) -> Mapping[str, Entry]:
        """Every schedule in force, by name."""
        return self._entries
