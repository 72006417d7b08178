"""Due instants become jobs, and every instant gets its fate.

For each schedule the store holds the rule that it goes by and a watermark: every instant of the rule up to
it has its fate. A step looks at the instants between the watermark and now and decides about all of them
in the turn's transaction: fire rows, jobs and the watermark are written together or not at all, so an
instant is served once whatever happens.

The rule of a schedule has a number. A schedule that is edited, disabled, enabled or removed is *closed*
first: what its rule has left behind since the watermark gets its fate by that rule, and the next one, with
the next number, begins now. So the rows of a schedule have no gap, whatever was done to it, also while no
daemon ran. Some next rules say the same as the one before:

* When the wall clock is set, intervals are moved by as much: their instants are so much time apart,
  whatever a clock says. All other rules name moments of the wall clock; there the watermark alone counts,
  which never moves back, so that a clock that is set back repeats nothing.
* When the zone data of the host has changed, the rule goes on by the new data from its watermark on.

A pause is no rule: the watermark stands still, and when the pause ends, what has passed is held.

With ``on_overlap = "queue"`` and ``"replace"`` one job stands in a line of its schedule until the
earlier one is gone; the dispatcher lets it go, in the transaction that ends the earlier one.

What is remembered here is written to in the middle of a transaction. Whoever rolls one back calls `recover`.
What a turn decides is collected and written at its end (`jobctl.beat.ledger`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Protocol

from jobctl.beat.entry import Entry
from jobctl.beat.fates import GRACE_S, NO_DAEMON, Policy, fates_of
from jobctl.beat.following import Following
from jobctl.beat.hands import Hands
from jobctl.beat.ledger import Ledger
from jobctl.beat.rules import (
    NoInstants,
    base_of,
    follows_wall_clock,
    identity_of,
    max_runs_of,
    rule_of,
    was_enabled,
    zone_data_of,
)
from jobctl.clock import SECOND, HostClock, Moment, iso
from jobctl.errors import JobctlError, NotFound, UsageError
from jobctl.logs import fields, logger
from jobctl.schedule import (
    IntervalSchedule,
    Schedule,
    ScheduleError,
    are_zones_stale,
    reread_zones,
)
from jobctl.store import fires as fire_rows
from jobctl.store import jobs as job_rows
from jobctl.store import schedules as schedule_rows
from jobctl.store.fires import Fire

if TYPE_CHECKING:
    from jobctl.plan import Plan, ScheduleSpec
    from jobctl.store.database import Database
    from jobctl.store.schedules import StoredSchedule

SLICE: Final = 500
"""Schedules that are looked at in one turn, and fates that are written in one, more or less."""

ZONES_S: Final = 300.0
"""Time between two looks at the zone data on disk, at least; nothing is woken up for it."""

CHANGED: Final = "the schedule was changed before it was served"
REMOVED: Final = "the schedule was removed before it was served"
DISABLED: Final = "the schedule was disabled"
NOTICED_LATE: Final = "it was noticed too late: the daemon could not work"


class DuplicateJob(Exception):
    """A task is unique, and a job that does the same waits or runs."""

    def __init__(self, job_id: int) -> None:
        super().__init__(job_id)
        self.job_id = job_id


class MakeJob(Protocol):
    """Gives the job of an instant, for the beat to write inside the turn's transaction."""

    def __call__(
        self, spec: ScheduleSpec, schedule: int, instant: Moment, *, waits: bool
    ) -> job_rows.NewJob:
        """Give the job's row. With ``waits`` it stands in the line of its schedule until somebody lets it
        go. Raises DuplicateJob, or JobctlError: there can be no such job now."""
        ...


Cancel = Callable[[int, Moment], str]
"""Ends a job inside the turn's transaction, as `jobctl.dispatcher.Dispatcher.cancel` does."""


class Beat:
    """See the module. ``host`` seeds the jitter; ``boot_id`` tells one boot of the host from another."""

    def __init__(
        self,
        *,
        database: Database,
        make_job: MakeJob,
        cancel: Cancel,
        host: str,
        boot_id: str,
        clock: HostClock,
    ) -> None:
        self._database = database
        self._make_job = make_job
        self._cancel = cancel
        self._host = host
        self._boot_id = boot_id
        self._clock = clock
        self._hands = Hands(clock, boot_id)
        self._ledger = Ledger(database)
        self._following = Following()
        self._plan: Plan | None = None
        self._entries: dict[str, Entry] = {}
        self._changing: dict[str, Entry | None] = {}
        self._heap: list[tuple[Moment, str]] = []
        self._is_stopped = False
        self._began_at: Moment | None = None
        self._look_at_zones_at = clock.monotonic() + ZONES_S
        self._are_zones_new = False

    # -- the plan ---------------------------------------------------------------------------------

    def prepare(self, plan: Plan, now: Moment) -> Callable[[], None]:
        """Write what a plan means for the schedules, inside a transaction; gives back what brings it
        into force here, to be called after the commit.

        A new or edited schedule begins now and replays nothing; one that is as it was goes on from its
        watermark; one that is gone leaves its history. Until the call the old plan goes on.
        """
        if self._began_at is None:
            self._began_at = now
        if not self._hands.is_known:
            # Not once for all: the transaction of the first plan may be refused.
            self._take_up_clock()
        if are_zones_stale():
            reread_zones()
            self._following.forget()
        entries: dict[str, Entry] = {}
        for row in schedule_rows.each(self._database):
            entry = self._prepare_one(plan.schedules.get(row.name), row, plan, now)
            if entry is not None:
                entries[entry.spec.name] = entry
        for name, spec in plan.schedules.items():
            if name not in entries:
                entries[name] = self._add(spec, plan, now)

        def bring_into_force() -> None:
            self._plan = plan
            self._entries = entries
            self._changing.clear()
            self._following.forget()
            self._refill()

        return bring_into_force

    def change(self, plan: Plan, names: Iterable[str], now: Moment) -> Callable[[], None]:
        """What `prepare` does, for a few schedules: those that were added to the plan, edited or removed
        from it. Nothing else may differ between this plan and the one in force.

        What is due by now is served first, by the plan in force: the change begins after ``now``.
        """
        changed: dict[str, Entry | None] = {}
        for name in names:
            spec = plan.schedules.get(name)
            self._serve_before_change(name, now)
            row = schedule_rows.get(self._database, name)
            if row is not None:
                changed[name] = self._prepare_one(spec, row, plan, now)
            elif spec is not None:
                changed[name] = self._add(spec, plan, now)
        return self._install_later(plan, changed)

    def pause(self, name: str, until: Moment | None, now: Moment) -> Callable[[], None]:
        """Hold the instants of a schedule from now on, inside a transaction, until a moment or until
        `resume`; gives back what brings it into force here. A pause that goes on gets another end.

        Raises:
            NotFound: there is no such schedule. UsageError: ``until`` is past. Nothing was written.
        """
        entry = self._known(name)
        if until is not None and until <= now:
            raise UsageError("a pause ends in the future", hint="Give a later moment, or none.")
        self._serve_before_change(name, now)
        schedule_rows.pause(self._database, id=entry.id, until=until, now=now)
        return self._read_again(name, entry.spec)

    def resume(self, name: str, now: Moment) -> Callable[[], None]:
        """End the pause of a schedule, if there is one; what passed meanwhile is held. As `pause`.

        Raises:
            NotFound: there is no such schedule. Nothing was written.
        """
        entry = self._known(name)
        self._serve_before_change(name, now)
        row = schedule_rows.get(self._database, name)
        assert row is not None
        if row.paused_at is not None:
            ended = self._entry(entry.spec, row, self._plan)
            self._end_pause(ended, now)
            self._ledger.write()
        return self._read_again(name, entry.spec)

    def _known(self, name: str) -> Entry:
        entry = self._changing.get(name) or self._entries.get(name)
        if entry is None:
            raise NotFound(
                f'there is no schedule "{name}"', hint="jobctl schedule list shows them."
            )
        return entry

    def _serve_before_change(self, name: str, now: Moment) -> None:
        """Serve what is due of a schedule that is about to change: that was promised before."""
        entry = self._entries.get(name)
        if entry is None or name in self._changing or self._is_stopped:
            return
        while (due_at := entry.due_at) is not None and due_at <= now:
            self._serve(entry, now)
            self._ledger.write()

    def _read_again(self, name: str, spec: ScheduleSpec) -> Callable[[], None]:
        row = schedule_rows.get(self._database, name)
        assert row is not None
        assert self._plan is not None
        return self._install_later(self._plan, {name: self._entry(spec, row, self._plan)})

    def _install_later(self, plan: Plan, changed: Mapping[str, Entry | None]) -> Callable[[], None]:
        # Until then a step in the same transaction leaves them alone: their rows are changed already.
        self._changing.update(changed)

        def bring_into_force() -> None:
            self._plan = plan
            for name, entry in changed.items():
                self._changing.pop(name, None)
                if entry is None:
                    self._entries.pop(name, None)
                else:
                    self._entries[name] = entry
                    self._push(name, entry)
            if len(self._heap) > 2 * len(self._entries) + SLICE:
                self._refill()

        return bring_into_force

    def _prepare_one(
        self, spec: ScheduleSpec | None, row: StoredSchedule, plan: Plan, now: Moment
    ) -> Entry | None:
        """Bring the row of a schedule to what a plan says of it; None: it is there no longer."""
        identity = None if spec is None else identity_of(spec, self._host)
        if identity != row.identity and row.name in self._entries:
            self._serve_before_change(row.name, now)
            served = schedule_rows.get(self._database, row.name)
            assert served is not None
            row = served
        if spec is None or identity is None:
            ends_at = self._close(row, now, REMOVED)
            schedule_rows.remove(self._database, row, ends_at=ends_at, now=now)
            return None
        zone_data = zone_data_of(spec)
        if identity != row.identity:
            row = self._follow_edit(row, identity, zone_data, now)
        elif zone_data is not None and zone_data != row.zone_data:
            row = self._go_on(row, zone_data)
        entry = self._entry(spec, row, plan)
        if entry.rule.is_at_boot and not entry.is_booted:
            self._hold_boot(entry, now)
            self._ledger.write()
        return entry

    def _add(self, spec: ScheduleSpec, plan: Plan, now: Moment) -> Entry:
        row = schedule_rows.add(
            self._database,
            name=spec.name,
            identity=identity_of(spec, self._host),
            anchor_at=now,
            zone_data=zone_data_of(spec),
            boot_id=self._boot_id,
            now=now,
        )
        return self._entry(spec, row, plan)

    def _entry(self, spec: ScheduleSpec, row: StoredSchedule, plan: Plan | None) -> Entry:
        because = None if plan is None else _why_held(spec, plan)
        try:
            rule = rule_of(row.identity, row.anchor_at)
        except ScheduleError as error:
            logger.error(
                "a schedule is held: what it says is not understood any more",
                extra=fields(schedule=spec.name, reason=error.message),
            )
            rule = NoInstants(normal=spec.expression, timezone=spec.timezone or "UTC")
            because = error.message
        entry = Entry(
            spec=spec,
            rule=rule,
            id=row.id,
            number=row.rule,
            anchor_at=row.anchor_at,
            watermark=row.watermark,
            runs=row.runs,
            paused_at=row.paused_at,
            paused_until=row.paused_until,
            delay_us=jitter_us(spec.name, self._host, spec.jitter_s) if spec.jitter_s else 0,
            is_booted=row.booted == self._boot_id,
            held_because=because,
        )
        entry.find_next(self._booted_at, self._following)
        return entry

    @property
    def _booted_at(self) -> Moment:
        """The moment that stands for a boot: that at which this daemon looked at the schedules first."""
        assert self._began_at is not None
        return self._began_at

    def _hold_boot(self, entry: Entry, now: Moment) -> None:
        """A boot that a schedule shall not run at has its fate, too."""
        is_paused = entry.paused_at is not None
        if is_paused and entry.paused_until is not None and entry.paused_until <= self._booted_at:
            is_paused = False
        if entry.spec.enabled and not is_paused:
            return
        reason = paused_text(entry.paused_until) if is_paused else DISABLED
        instant = max(self._booted_at, entry.watermark + 1)
        self._pass(entry, instant, instant, "held", reason)
        self._note_boot(entry, instant)

    def stop(self) -> None:
        """Make no more jobs."""
        self._is_stopped = True

    # -- rules that follow each other ---------------------------------------------------------------

    def _follow_edit(
        self, row: StoredSchedule, identity: str, zone_data: str | None, now: Moment
    ) -> StoredSchedule:
        """Let a schedule go by what it says now. Where its instants lie as before (it was enabled, say),
        it keeps its phase and its count, and repeats nothing after a clock was set back."""
        ends_at = self._close(row, now, CHANGED)
        is_same = base_of(row.identity) == base_of(identity)
        if not is_same:
            schedule_rows.note_boot(self._database, id=row.id, boot_id=self._boot_id)
            row = row._replace(booted=self._boot_id)
        return schedule_rows.begin_rule(
            self._database,
            row,
            identity=identity,
            anchor_at=row.anchor_at if is_same else now,
            zone_data=zone_data,
            ends_at=ends_at,
            begins_at=max(ends_at, now) if is_same else now,
            runs=row.runs if is_same else 0,
        )

    def _go_on(self, row: StoredSchedule, zone_data: str) -> StoredSchedule:
        """Let a schedule go on from its watermark by other zone data."""
        return schedule_rows.begin_rule(
            self._database,
            row,
            identity=row.identity,
            anchor_at=row.anchor_at,
            zone_data=zone_data,
            ends_at=row.watermark,
            begins_at=row.watermark,
            runs=row.runs,
        )

    def _close(self, row: StoredSchedule, now: Moment, reason: str) -> Moment:
        """Give the instants their fate that the rule of a row has left behind; up to when they have one."""
        max_runs = max_runs_of(row.identity)
        if max_runs is not None and row.runs >= max_runs:
            return row.watermark
        ends_at = max(now, row.watermark)
        try:
            rule = rule_of(row.identity, row.anchor_at)
        except ScheduleError as error:
            # A zone that was removed from the host, say: what it meant cannot be known any more.
            logger.warning(
                "the last instants of a schedule cannot be told",
                extra=fields(schedule=row.name, reason=error.message),
            )
            return ends_at
        if rule.is_at_boot:
            return ends_at
        after = row.watermark
        if not was_enabled(row.identity):
            self._pass_all(row, rule, after, ends_at, "held", DISABLED)
            return ends_at
        if row.paused_at is not None:
            until = ends_at if row.paused_until is None else min(row.paused_until - 1, ends_at)
            self._pass_all(row, rule, after, until, "held", paused_text(row.paused_until))
            after = max(after, until)
        self._pass_all(row, rule, after, ends_at, "missed", reason)
        return ends_at

    def _pass_all(
        self,
        row: StoredSchedule,
        rule: Schedule,
        after: Moment,
        until: Moment,
        fate: str,
        reason: str,
    ) -> None:
        """Write one row for all instants in (after, until], if there are any."""
        first = rule.next_after(after)
        if first is None or first > until:
            return
        last = rule.previous_before(until + 1)
        assert last is not None
        fire_rows.add(
            self._database,
            Fire(
                schedule=row.id,
                rule=row.rule,
                first=first,
                last=last,
                count=rule.count_between(after, until),
                fate=fate,
                reason=reason,
            ),
        )

    # -- the clock and the zones --------------------------------------------------------------------

    def _take_up_clock(self) -> None:
        """Look whether the clock was set since the last daemon of this boot looked at it."""
        self._hands.read(self._database)
        by = self._hands.step()
        if by:
            self._hands.note_step(by)
            schedule_rows.shift(self._database, by=by)
        if by or not self._hands.is_known:
            self._hands.remember(self._database)

    def _follow_clock(self, by: Moment) -> None:
        """Somebody set the wall clock: intervals are moved by as much."""
        logger.info(
            "the clock was set; intervals go on as if it had not been",
            extra=fields(by_s=by / SECOND),
        )
        self._hands.note_step(by)
        schedule_rows.shift(self._database, by=by)
        self._hands.remember(self._database)
        # What the statements did, done here as well: reading it all again would take far longer.
        for entry in (*self._entries.values(), *self._changing.values()):
            if entry is None or follows_wall_clock(entry.spec):
                continue
            entry.number += 1
            entry.anchor_at += by
            entry.watermark += by
            entry.tail = None
            self._understand(entry)
            entry.find_next(self._booted_at, self._following)
        self._refill()

    def _understand(self, entry: Entry) -> None:
        """Give an entry the rule that its anchor makes of it."""
        if isinstance(entry.rule, IntervalSchedule):
            # Its texts are shared with the one before: there may be a hundred thousand.
            entry.rule = replace(entry.rule, anchor_at=entry.anchor_at)
        elif not isinstance(entry.rule, NoInstants):
            entry.rule = rule_of(identity_of(entry.spec, self._host), entry.anchor_at)

    def _follow_zones(self) -> None:
        """The zone data of the host has changed: rules of the zones that differ go on by the new data."""
        self._are_zones_new = False
        changed: dict[str, Entry] = {}
        for row in schedule_rows.each(self._database):
            entry = self._entries.get(row.name)
            if entry is None or row.name in self._changing:
                continue
            zone_data = zone_data_of(entry.spec)
            if zone_data is not None and zone_data != row.zone_data:
                row = self._go_on(row, zone_data)
                changed[row.name] = self._entry(entry.spec, row, self._plan)
        if changed:
            logger.info("the zone data has changed", extra=fields(schedules=len(changed)))
            self._entries.update(changed)
            self._refill()

    def _have_zones_changed(self) -> bool:
        monotonic = self._clock.monotonic()
        if monotonic >= self._look_at_zones_at:
            self._look_at_zones_at = monotonic + ZONES_S
            if are_zones_stale():
                reread_zones()
                self._following.forget()
                self._are_zones_new = True
        return self._are_zones_new

    # -- the turn ---------------------------------------------------------------------------------

    def next_due(self) -> Moment | None:
        """When there is something to do next, on the wall clock; None: never."""
        if self._is_stopped:
            return None
        while self._heap:
            due_at, name = self._heap[0]
            entry = self._entries.get(name)
            if entry is not None and entry.due_at == due_at:
                return due_at
            # It was changed since: its new moment stands elsewhere in the heap, if it has one.
            heapq.heappop(self._heap)
        return None

    def is_due(self, now: Moment) -> bool:
        """An instant waits to be served, or something has happened to the clock or the zones."""
        if self._is_stopped or self._plan is None:
            return False
        due_at = self.next_due()
        if due_at is not None and due_at <= now:
            return True
        return self._hands.step() != 0 or self._have_zones_changed()

    def step(self, now: Moment) -> None:
        """Serve what is due, inside a transaction; after `SLICE` schedules the rest has to wait a turn."""
        if self._is_stopped or self._plan is None:
            return
        by = self._hands.step()
        if by:
            # The moment of this turn may be one of the clock as it was: the next turn serves.
            self._follow_clock(by)
            return
        self._hands.note_sleep()
        if self._have_zones_changed():
            self._follow_zones()
        waiting: list[tuple[Moment, str]] = []
        for _ in range(SLICE):
            due_at = self.next_due()
            if due_at is None or due_at > now or len(self._ledger) >= SLICE:
                break
            _, name = heapq.heappop(self._heap)
            if name in self._changing:
                waiting.append((due_at, name))
                continue
            entry = self._entries[name]
            self._serve(entry, now)
            self._push(name, entry)
        for each in waiting:
            heapq.heappush(self._heap, each)
        self._ledger.write()
        self._following.forget()

    def recover(self) -> None:
        """A transaction was rolled back: remember what the store says."""
        self._changing.clear()
        self._ledger.forget()
        self._following.forget()
        if self._began_at is None:
            return
        self._hands.read(self._database)
        for row in schedule_rows.each(self._database):
            entry = self._entries.get(row.name)
            if entry is None:
                continue
            entry.tail = None
            zone_data = zone_data_of(entry.spec)
            if zone_data is not None and zone_data != row.zone_data:
                self._are_zones_new = True
            has_other_rule = (entry.number, entry.anchor_at) != (row.rule, row.anchor_at)
            entry.number, entry.anchor_at = row.rule, row.anchor_at
            entry.watermark, entry.runs = row.watermark, row.runs
            entry.paused_at, entry.paused_until = row.paused_at, row.paused_until
            entry.is_booted = row.booted == self._boot_id
            if has_other_rule:
                self._understand(entry)
            entry.find_next(self._booted_at, self._following)
        self._refill()

    def _push(self, name: str, entry: Entry) -> None:
        due_at = entry.due_at
        if due_at is not None:
            heapq.heappush(self._heap, (due_at, name))

    def _refill(self) -> None:
        self._heap = [
            (due_at, name)
            for name, entry in self._entries.items()
            if (due_at := entry.due_at) is not None
        ]
        heapq.heapify(self._heap)

    # -- one schedule -------------------------------------------------------------------------------

    def _serve(self, entry: Entry, now: Moment) -> None:
        """Do what is due: end a pause, decide about every instant from the watermark up to now."""
        if entry.paused_at is not None:
            assert entry.paused_until is not None
            self._end_pause(entry, entry.paused_until - 1)
        first = entry.next_at
        if first is None or first + entry.delay_us > now:
            return
        if entry.rule.is_at_boot:
            self._serve_boot(entry, now)
            return
        noticed_at = now - entry.delay_us
        last = first
        following = self._following(entry.rule, first)
        if following is not None and following <= noticed_at:
            found = entry.rule.previous_before(noticed_at + 1)
            assert found is not None
            last = found
        if entry.held_because is not None:
            self._pass(entry, first, last, "held", entry.held_because)
        elif last == first and first >= noticed_at - GRACE_S * SECOND and not entry.spec.expires_s:
            # One instant, in time: whatever the policy, it is served. So it is nearly always.
            self._fire(entry, first, now)
        else:
            last = self._decide(entry, first, last, noticed_at, now)
        self._advance(entry, last)

    def _decide(
        self, entry: Entry, first: Moment, last: Moment, noticed_at: Moment, now: Moment
    ) -> Moment:
        """Give the instants from ``first`` to ``last`` their fates; the last one that has got one."""
        policy = self._policy_of(entry, last)
        fates = fates_of(entry.rule, first, last, now=noticed_at, policy=policy)
        for each in fates.passed:
            self._pass(entry, each.first, each.last, each.fate, each.reason)
        for instant in fates.served:
            self._fire(entry, instant, now)
            # What follows is no instant of this schedule any more, or is left to the next turn.
            if entry.is_exhausted or len(self._ledger) >= SLICE:
                return instant
        return last

    def _policy_of(self, entry: Entry, last: Moment) -> Policy:
        assert self._plan is not None
        spec = entry.spec
        within_s = self._plan.missed_within_of(spec)
        late = NO_DAEMON
        if last > self._booted_at:
            late = self._hands.why_late(last) or NOTICED_LATE
        return Policy(
            on_missed=self._plan.on_missed_of(spec),
            within_us=None if within_s is None else round(within_s * SECOND),
            limit=self._plan.missed_limit_of(spec),
            # Counted from the instant; the jitter has passed already.
            expires_us=None
            if spec.expires_s is None
            else round(spec.expires_s * SECOND) - entry.delay_us,
            late=late,
        )

    def _advance(self, entry: Entry, watermark: Moment) -> None:
        entry.watermark = watermark
        self._ledger.advance(entry.id, watermark=watermark, runs=entry.runs)
        entry.find_next(self._booted_at, self._following)

    def _serve_boot(self, entry: Entry, now: Moment) -> None:
        # Behind the watermark in any case: the clock may have been wrong until the host knew better.
        instant = max(self._booted_at, entry.watermark + 1)
        if entry.held_because is not None:
            self._pass(entry, instant, instant, "held", entry.held_because)
        else:
            self._fire(entry, instant, now)
        self._note_boot(entry, instant)

    def _note_boot(self, entry: Entry, instant: Moment) -> None:
        """Noted with its fate, in the same transaction: no crash can lose it or serve it twice."""
        schedule_rows.note_boot(self._database, id=entry.id, boot_id=self._boot_id)
        entry.is_booted = True
        self._advance(entry, instant)

    def _end_pause(self, entry: Entry, at: Moment) -> None:
        """Hold what has passed since the watermark, up to the end of the pause, and go on."""
        is_holding = entry.spec.enabled and not entry.is_exhausted and not entry.rule.is_at_boot
        first = entry.rule.next_after(entry.watermark) if is_holding else None
        if first is not None and first <= at:
            last = entry.rule.previous_before(at + 1)
            assert last is not None
            self._pass(entry, first, last, "held", paused_text(entry.paused_until))
            self._advance(entry, last)
        schedule_rows.resume(self._database, id=entry.id)
        entry.paused_at = entry.paused_until = None
        entry.find_next(self._booted_at, self._following)

    def _fire(self, entry: Entry, instant: Moment, now: Moment) -> None:
        """Serve one instant: a job, unless an earlier one of this schedule stands against it."""
        assert self._plan is not None
        overlap = self._plan.on_overlap_of(entry.spec)
        waits = False
        if overlap != "allow":
            if self._ledger.holds(entry.id):
                self._ledger.write()
            earlier = job_rows.unfinished_of_schedule(self._database, schedule=entry.id)
            if earlier and overlap == "replace":
                waits = self._replace(earlier, now)
            elif earlier:
                waiting = [job for job in earlier if job.is_held_back]
                if overlap == "skip":
                    first = earlier[0]
                    reason = f"job {first.id} of this schedule is {first.state}"
                    self._pass(entry, instant, instant, "skipped", reason, earlier_job=first.id)
                    return
                if waiting:
                    first = waiting[0]
                    reason = f"job {first.id} of this schedule waits already"
                    self._pass(entry, instant, instant, "coalesced", reason, earlier_job=first.id)
                    return
                waits = True
        try:
            job = self._make_job(entry.spec, entry.id, instant, waits=waits)
        except DuplicateJob as duplicate:
            job_id = duplicate.job_id
            reason = f"job {job_id} does the same already"
            self._pass(entry, instant, instant, "skipped", reason, earlier_job=job_id)
            return
        except JobctlError as error:
            # The plan was checked; only what changed since then (a user, a group) can end up here.
            logger.error(
                "a due job could not be made",
                extra=fields(schedule=entry.spec.name, reason=error.message),
            )
            self._pass(entry, instant, instant, "held", error.message)
            return
        entry.tail = None
        entry.runs += 1
        fire = Fire(entry.id, entry.number, instant, instant, 1, "submitted", job.id)
        self._ledger.add(fire, job)

    def _replace(self, earlier: list[job_rows.Unfinished], now: Moment) -> bool:
        """Cancel what is unfinished; True when some of it is still there and has to be waited for."""
        is_left = False
        for job in earlier:
            if job.is_stopping or self._cancel(job.id, now) == "stopping":
                is_left = True
        return is_left

    def _pass(
        self,
        entry: Entry,
        first: Moment,
        last: Moment,
        fate: str,
        reason: str,
        *,
        earlier_job: int | None = None,
    ) -> None:
        """Instants that make no job of their own; the row before is prolonged if it says the same."""
        count = 1 if first == last else entry.rule.count_between(first - 1, last)
        is_same = entry.tail is not None and entry.tail[1:] == (fate, reason)
        if entry.tail is not None and is_same:
            if self._ledger.holds(entry.id):
                self._ledger.write()
            is_prolonged = fire_rows.prolong(
                self._database,
                schedule=entry.id,
                rule=entry.number,
                first=entry.tail[0],
                last=last,
                count=count,
            )
            if is_prolonged:
                return
        entry.tail = (first, fate, reason)
        self._ledger.add(
            Fire(
                schedule=entry.id,
                rule=entry.number,
                first=first,
                last=last,
                count=count,
                fate=fate,
                earlier_job=earlier_job,
                reason=reason,
            )
        )

    # -- looking ----------------------------------------------------------------------------------

    def entries(self) -> Mapping[str, Entry]:
        """Every schedule of the plan, by name; those that make no jobs have no next instant."""
        return self._entries


def jitter_us(name: str, host: str, jitter_s: float) -> int:
    """How much later than its nominal instants a schedule is due: below ``jitter_s``, the same each time."""
    drawn = int.from_bytes(blake2b(f"{name}\0{host}".encode(), digest_size=8).digest())
    return drawn * round(jitter_s * SECOND) >> 64


def paused_text(until: Moment | None) -> str:
    """Why an instant was held."""
    return "paused" if until is None else f"paused until {iso(until)}"


def _why_held(spec: ScheduleSpec, plan: Plan) -> str | None:
    if plan.find(spec.task) is not None:
        return None
    if spec.task in plan.unavailable:
        return f'task "{spec.task}" is unavailable: {plan.unavailable[spec.task]}'
    return f'no such task "{spec.task}"'
