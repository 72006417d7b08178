"""Due instants become jobs, and every instant gets its fate.

For each schedule the store holds a watermark: every instant up to it has its fate. A step looks at the
instants between the watermark and now and decides about all of them in the turn's transaction: fire
rows, jobs and the watermark are written together or not at all, so an instant is served once whatever
happens. The watermark never moves back, so a clock that is set back repeats nothing.

A schedule that is edited, disabled, enabled or removed is *closed* first: what its old rule has left
behind since the watermark gets its fate by the old rule, and the new one begins now. So the rows of a
schedule have no gap, whatever was done to it, also while no daemon ran.

With ``on_overlap = "queue"`` and ``"replace"`` one job stands in a line of its schedule until the
earlier one is gone; the dispatcher lets it go, in the transaction that ends the earlier one.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Protocol

from jobctl.beat.fates import fates_of
from jobctl.clock import SECOND, Moment
from jobctl.errors import JobctlError
from jobctl.logs import fields, logger
from jobctl.protocol.compact import dumps
from jobctl.schedule import Schedule, ScheduleError, parse_schedule
from jobctl.store import fires as fire_rows
from jobctl.store import jobs as job_rows
from jobctl.store import meta
from jobctl.store import schedules as schedule_rows
from jobctl.store.fires import Fire

if TYPE_CHECKING:
    from jobctl.plan import Plan, ScheduleSpec
    from jobctl.store.database import Database
    from jobctl.store.schedules import StoredSchedule

SLICE: Final = 500
"""Schedules that are served in one turn."""

_BOOT: Final = "beat_boot_id"


class Submit(Protocol):
    """Adds the job of an instant inside the turn's transaction."""

    def __call__(self, spec: ScheduleSpec, schedule: int, instant: Moment, *, waits: bool) -> int:
        """Give back the job's id. With ``waits`` it stands in the line of its schedule until somebody
        lets it go."""
        ...


Cancel = Callable[[int, Moment], str]
"""Ends a job inside the turn's transaction, as `jobctl.dispatcher.Dispatcher.cancel` does."""


@dataclass(slots=True)
class Entry:
    """A schedule in force.

    ``delay_us`` is its jitter: each instant is due that much later than its nominal moment. ``tail`` is
    the fire row that was written last, if the next one may prolong it: ``(first, fate, reason)``.
    """

    spec: ScheduleSpec
    rule: Schedule
    row: StoredSchedule
    watermark: Moment
    next_at: Moment | None
    delay_us: int
    tail: tuple[Moment, str, str] | None = None

    @property
    def due_at(self) -> Moment | None:
        """When the next instant is to be served."""
        return None if self.next_at is None else self.next_at + self.delay_us


class Beat:
    """See the module. ``host`` seeds the jitter; ``boot_id`` tells one boot of the host from another."""

    def __init__(
        self, *, database: Database, submit: Submit, cancel: Cancel, host: str, boot_id: str
    ) -> None:
        self._database = database
        self._submit = submit
        self._cancel = cancel
        self._host = host
        self._boot_id = boot_id
        self._plan: Plan | None = None
        self._entries: dict[str, Entry] = {}
        self._heap: list[tuple[Moment, str]] = []
        self._is_stopped = False
        self._began_at: Moment | None = None
        self._has_booted = False

    # -- the plan ---------------------------------------------------------------------------------

    def prepare(self, plan: Plan, now: Moment) -> Callable[[], None]:
        """Write what a plan means for the schedules, inside a transaction; gives back what brings it
        into force here, to be called after the commit.

        A new or edited schedule begins now and replays nothing; one that is as it was goes on from its
        watermark; one that is gone leaves its history. Until the call the old plan goes on.
        """
        stored = schedule_rows.all(self._database)
        if self._began_at is None:
            self._began_at = now
            self._has_booted = self._look_at_boot()
        entries = {
            name: self._entry(spec, stored.get(name), now) for name, spec in plan.schedules.items()
        }
        for name in stored.keys() - entries.keys():
            self._close(stored[name], now)
            schedule_rows.remove(self._database, name=name, now=now)

        def bring_into_force() -> None:
            self._plan = plan
            self._entries = entries
            self._refill()

        return bring_into_force

    def _look_at_boot(self) -> bool:
        """The host has booted since this store's ``@reboot`` schedules ran last. False in a new store."""
        known = meta.get(self._database, _BOOT)
        if known is None:
            meta.set(self._database, _BOOT, self._boot_id)
        return known is not None and known != self._boot_id

    def _entry(self, spec: ScheduleSpec, row: StoredSchedule | None, now: Moment) -> Entry:
        identity = _identity(spec)
        assert self._began_at is not None
        is_old = row is not None and row.identity == identity
        if row is None or not is_old:
            anchor_at = now
            if row is not None:
                self._close(row, now)
                if _rule_of(row.identity) == _rule_of(identity):
                    anchor_at = row.anchor_at
            row = schedule_rows.add(
                self._database, name=spec.name, identity=identity, anchor_at=anchor_at, now=now
            )
        rule = parse_schedule(
            spec.kind,
            spec.expression,
            timezone=spec.timezone or "UTC",
            anchor_at=row.anchor_at,
            dialect=spec.dialect,
        )
        next_at = rule.next_after(row.watermark)
        if rule.is_at_boot and is_old and self._has_booted and row.watermark < self._began_at:
            next_at = now
        if not spec.enabled:
            next_at = None
        delay_us = jitter_us(spec.name, self._host, spec.jitter_s)
        return Entry(spec, rule, row, row.watermark, next_at, delay_us)

    def _close(self, row: StoredSchedule, now: Moment) -> None:
        """Give the instants their fate that the schedule, as it was, has left behind."""
        kind, expression, timezone, dialect = _rule_of(row.identity)
        try:
            rule = parse_schedule(
                kind, expression, timezone=timezone, anchor_at=row.anchor_at, dialect=dialect
            )
        except ScheduleError as error:
            # A zone that was removed from the host, say: what it meant cannot be known any more.
            logger.warning(
                "the last instants of a schedule cannot be told",
                extra=fields(schedule=row.name, reason=error.message),
            )
            return
        first = rule.next_after(row.watermark)
        last = rule.previous_before(now + 1)
        if first is None or last is None or first > last:
            return
        fate, reason = "missed", "the schedule was changed before it was served"
        if not _was_enabled(row.identity):
            fate, reason = "held", "the schedule was disabled"
        fire_rows.add(
            self._database,
            Fire(
                schedule=row.id,
                first=first,
                last=last,
                count=rule.count_between(first - 1, last),
                fate=fate,
                reason=reason,
            ),
        )
        schedule_rows.advance(self._database, id=row.id, watermark=last)

    def stop(self) -> None:
        """Make no more jobs."""
        self._is_stopped = True

    # -- the turn ---------------------------------------------------------------------------------

    def next_due(self) -> Moment | None:
        """When the next instant is due, on the wall clock; None: never."""
        return None if not self._heap or self._is_stopped else self._heap[0][0]

    def is_due(self, now: Moment) -> bool:
        """An instant waits to be served."""
        due_at = self.next_due()
        return due_at is not None and due_at <= now

    def step(self, now: Moment) -> None:
        """Serve what is due, inside a transaction; after `SLICE` schedules the rest has to wait a turn.

        What is remembered here is set right by `recover` when the transaction fails.
        """
        for _ in range(SLICE):
            if not self.is_due(now):
                break
            _, name = heapq.heappop(self._heap)
            entry = self._entries[name]
            self._serve(entry, now)
            if entry.due_at is not None:
                heapq.heappush(self._heap, (entry.due_at, name))
        if self._has_booted and not any(
            entry.rule.is_at_boot and entry.next_at is not None for entry in self._entries.values()
        ):
            # Noted when they have run, in the same transaction: no crash can lose them.
            meta.set(self._database, _BOOT, self._boot_id)
            self._has_booted = False

    def recover(self) -> None:
        """The transaction of the last step failed: go back to the store's watermarks."""
        stored = schedule_rows.all(self._database)
        self._has_booted = self._look_at_boot()
        for name, entry in self._entries.items():
            entry.tail = None
            row = stored.get(name)
            if row is not None and row.watermark != entry.watermark:
                is_at_boot = entry.rule.is_at_boot
                entry.next_at = entry.watermark if is_at_boot else None
                entry.watermark = row.watermark
                if not is_at_boot and entry.spec.enabled:
                    entry.next_at = entry.rule.next_after(row.watermark)
        self._refill()

    def _refill(self) -> None:
        self._heap = [
            (entry.due_at, name)
            for name, entry in self._entries.items()
            if entry.due_at is not None
        ]
        heapq.heapify(self._heap)

    def _serve(self, entry: Entry, now: Moment) -> None:
        """Decide about every instant from the watermark up to now."""
        assert self._plan is not None
        first = entry.next_at
        assert first is not None
        noticed_at = now - entry.delay_us
        if entry.rule.is_at_boot:
            last = first
            self._fire(entry, first, now)
        else:
            found = entry.rule.previous_before(noticed_at + 1)
            assert found is not None
            last = found
            if self._plan.find(entry.spec.task) is None:
                self._pass(entry, first, last, "held", f'no such task "{entry.spec.task}"')
            else:
                on_missed = self._plan.on_missed_of(entry.spec)
                fates = fates_of(entry.rule, first, last, now=noticed_at, on_missed=on_missed)
                for each in fates.passed:
                    self._pass(entry, each.first, each.last, each.fate, each.reason)
                for instant in fates.served:
                    self._fire(entry, instant, now)
        entry.watermark = last
        schedule_rows.advance(self._database, id=entry.row.id, watermark=last)
        entry.next_at = entry.rule.next_after(last)

    def _fire(self, entry: Entry, instant: Moment, now: Moment) -> None:
        """Serve one instant: a job, unless an earlier one of this schedule stands against it."""
        assert self._plan is not None
        overlap = self._plan.on_overlap_of(entry.spec)
        waits = False
        if overlap != "allow":
            earlier = job_rows.unfinished_of_schedule(self._database, schedule=entry.row.id)
            if earlier and overlap == "replace":
                waits = self._replace(earlier, now)
            elif earlier:
                waiting = [job for job in earlier if job.is_held_back]
                if overlap == "skip":
                    job = earlier[0]
                    reason = f"job {job.id} of this schedule is {job.state}"
                    self._pass(entry, instant, instant, "skipped", reason)
                    return
                if waiting:
                    reason = f"job {waiting[0].id} of this schedule waits already"
                    self._pass(entry, instant, instant, "coalesced", reason)
                    return
                waits = True
        try:
            job_id = self._submit(entry.spec, entry.row.id, instant, waits=waits)
        except JobctlError as error:
            # The plan was checked; only what changed since then (a user, a group) can end up here.
            logger.error(
                "a due job could not be made",
                extra=fields(schedule=entry.spec.name, reason=error.message),
            )
            self._pass(entry, instant, instant, "held", error.message)
            return
        entry.tail = None
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

    def _replace(self, earlier: list[job_rows.Unfinished], now: Moment) -> bool:
        """Cancel what is unfinished; True when some of it is still there and has to be waited for."""
        is_left = False
        for job in earlier:
            if job.is_stopping or self._cancel(job.id, now) == "stopping":
                is_left = True
        return is_left

    def _pass(self, entry: Entry, first: Moment, last: Moment, fate: str, reason: str) -> None:
        """Instants that make no job of their own; the row before is prolonged if it says the same."""
        count = 1 if first == last else entry.rule.count_between(first - 1, last)
        if entry.tail is not None and entry.tail[1:] == (fate, reason):
            fire_rows.prolong(
                self._database,
                schedule=entry.row.id,
                first=entry.tail[0],
                last=last,
                count=count,
            )
            return
        entry.tail = (first, fate, reason)
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
        """Every schedule of the plan, by name; those that are disabled have no next instant."""
        return self._entries


def jitter_us(name: str, host: str, jitter_s: float) -> int:
    """How much later than its nominal instants a schedule is due: below ``jitter_s``, the same each time."""
    drawn = int.from_bytes(blake2b(f"{name}\0{host}".encode(), digest_size=8).digest())
    return drawn * round(jitter_s * SECOND) >> 64


def _identity(spec: ScheduleSpec) -> str:
    """What makes a schedule this one: its rule, and whether it is enabled."""
    rule = [spec.kind, spec.expression, spec.timezone or "UTC", spec.dialect]
    return dumps(rule if spec.enabled else [*rule, "disabled"])


def _rule_of(identity: str) -> tuple[str, str, str, str]:
    kind, expression, timezone, dialect = json.loads(identity)[:4]
    return kind, expression, timezone, dialect


def _was_enabled(identity: str) -> bool:
    return len(json.loads(identity)) == 4
