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
What a turn decides about each schedule (`jobctl.beat.serving`) is collected and written at its end
(`jobctl.beat.ledger`); how one rule follows another is said in `jobctl.beat.succession`.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from jobctl.beat.entry import Entry
from jobctl.beat.following import Following
from jobctl.beat.hands import Hands
from jobctl.beat.ledger import SLICE, Ledger
from jobctl.beat.prepared import Prepared
from jobctl.beat.rules import (
    NoInstants,
    follows_wall_clock,
    identity_of,
    rule_of,
    zone_data_of,
)
from jobctl.beat.serving import Cancel, MakeJob, Serving, TellMissed
from jobctl.beat.succession import REMOVED, Succession
from jobctl.clock import SECOND, HostClock, Moment
from jobctl.digest import blake2b
from jobctl.errors import NotFound, UsageError
from jobctl.logs import fields, logger
from jobctl.schedule import (
    IntervalSchedule,
    ScheduleError,
    are_zones_stale,
    reread_zones,
)
from jobctl.steps import Steps, at_once, parts
from jobctl.store import schedules as schedule_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jobctl.plan import Plan, ScheduleSpec
    from jobctl.store.database import Database
    from jobctl.store.schedules import StoredSchedule

FIRST_SLICE: Final = 64
"""Schedules that are served in the first turn of many that are due at once: their jobs begin while the next
ones are served. Each further turn takes twice as many, up to `SLICE`: a herd shall not cost many commits."""

ZONES_S: Final = 300.0
"""Time between two looks at the zone data on disk, at least; nothing is woken up for it."""


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
        tell_missed: TellMissed | None = None,
    ) -> None:
        self._database = database
        self._host = host
        self._boot_id = boot_id
        self._clock = clock
        self._hands = Hands(clock, boot_id)
        self._ledger = Ledger(database)
        self._following = Following()
        self._serving = Serving(
            database=database,
            make_job=make_job,
            cancel=cancel,
            boot_id=boot_id,
            hands=self._hands,
            ledger=self._ledger,
            following=self._following,
            tell_missed=tell_missed,
        )
        self._succession = Succession(database, boot_id)
        self.fates = self._serving.fates
        self._entries: dict[str, Entry] = {}
        self._changing: dict[str, Entry | None] = {}
        self._heap: list[tuple[Moment, str]] = []
        self._is_stopped = False
        self._look_at_zones_at = clock.monotonic() + ZONES_S
        self._are_zones_new = False
        self._touched: set[str] | None = None
        self._moves = 0
        self._slice = FIRST_SLICE

    # -- the plan ---------------------------------------------------------------------------------

    def prepare(self, plan: Plan, now: Moment) -> Callable[[], None]:
        """Write what a plan means for the schedules, inside a transaction; gives back what brings it
        into force here, to be called after the commit.

        A new or edited schedule begins now and replays nothing; one that is as it was goes on from its
        watermark; one that is gone leaves its history. Until the call the old plan goes on.

        There may be a hundred thousand: a loop that others wait for does the same by `begin`, `preparing`
        and `finish`.
        """
        self.begin(now)
        return self.finish(at_once(self.preparing(plan)), now)

    def begin(self, now: Moment) -> None:
        """Take up the clock as this boot of the host knows it, inside a transaction; the first time only."""
        if self._serving.began_at is None:
            self._serving.began_at = now
        if not self._hands.is_known:
            # Not once for all: the transaction of the first plan may be refused.
            self._take_up_clock()

    def preparing(self, plan: Plan) -> Steps[Prepared]:
        """Find out what a plan means for the schedules, a part of them at a time; nothing is written.

        The old plan goes on meanwhile, and may be paused and resumed, but not changed. What this gives is
        right as long as nothing else happens: `finish` follows at once.
        """
        if are_zones_stale():
            reread_zones()
            self._following.forget()
        while True:
            touched: set[str] = set()
            self._touched = touched
            moves = self._moves
            prepared = Prepared(plan=plan, touched=touched)
            yield from self._look_at_rows(prepared)
            for names in parts(plan.schedules):
                prepared.changed.extend(name for name in names if name not in prepared.seen)
                yield
            # After a clock that was set, or other zone data, no row is what it was. It does not happen often.
            if moves == self._moves:
                return prepared

    def _look_at_rows(self, prepared: Prepared) -> Steps[None]:
        plan = prepared.plan
        following = Following()
        for rows in parts(schedule_rows.each(self._database)):
            for row in rows:
                prepared.seen.add(row.name)
                entry = self._as_it_was(plan.schedules.get(row.name), row, plan, following)
                if entry is None:
                    prepared.changed.append(row.name)
                    continue
                prepared.entries[row.name] = entry
                if (due_at := entry.due_at) is not None:
                    heapq.heappush(prepared.heap, (due_at, row.name))
            yield

    def _as_it_was(
        self, spec: ScheduleSpec | None, row: StoredSchedule, plan: Plan, following: Following
    ) -> Entry | None:
        """The entry of a schedule of which nothing has to be written; None: something has."""
        if spec is None or identity_of(spec, self._host) != row.identity:
            return None
        if zone_data_of(spec) not in (None, row.zone_data):
            return None
        entry = self._entry(spec, row, plan, following)
        return None if entry.rule.is_at_boot and not entry.is_booted else entry

    def finish(self, prepared: Prepared, now: Moment) -> Callable[[], None]:
        """Write what was found, inside a transaction; gives back what `prepare` gives."""
        plan, entries = prepared.plan, prepared.entries
        # The others have no row: asking for each of a hundred thousand new ones takes a second.
        known = prepared.seen | prepared.touched
        # In the order of their rows, then of the plan; what was served meanwhile is looked at once more.
        for name in dict.fromkeys((*prepared.changed, *prepared.touched)):
            spec = plan.schedules.get(name)
            row = schedule_rows.get(self._database, name) if name in known else None
            if row is not None:
                entry = self._prepare_one(spec, row, plan, now)
            else:
                entry = None if spec is None else self._add(spec, plan, now)
            if entry is None:
                entries.pop(name, None)
                continue
            entries[name] = entry
            if (due_at := entry.due_at) is not None:
                heapq.heappush(prepared.heap, (due_at, name))

        def bring_into_force() -> None:
            self._serving.plan = plan
            prepared.replaced, self._entries = self._entries, entries
            self._touched = None
            self._changing.clear()
            self._following.forget()
            # Moments that have been served meanwhile are in it too, and passed over.
            self._heap = prepared.heap

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
            ended = self._entry(entry.spec, row, self._serving.plan)
            self._serving.end_pause(ended, now)
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
            self._serving.serve(entry, now)
            self._ledger.write()

    def _read_again(self, name: str, spec: ScheduleSpec) -> Callable[[], None]:
        row = schedule_rows.get(self._database, name)
        assert row is not None
        assert self._serving.plan is not None
        return self._install_later(
            self._serving.plan, {name: self._entry(spec, row, self._serving.plan)}
        )

    def _install_later(self, plan: Plan, changed: Mapping[str, Entry | None]) -> Callable[[], None]:
        self._note_touched(*changed)
        # Until then a step in the same transaction leaves them alone: their rows are changed already.
        self._changing.update(changed)

        def bring_into_force() -> None:
            self._serving.plan = plan
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
            ends_at = self._succession.close(row, now, REMOVED)
            schedule_rows.remove(self._database, row, ends_at=ends_at, now=now)
            return None
        zone_data = zone_data_of(spec)
        if identity != row.identity:
            row = self._succession.follow_edit(row, identity, zone_data, now)
        elif zone_data is not None and zone_data != row.zone_data:
            row = self._succession.go_on(row, zone_data)
        entry = self._entry(spec, row, plan)
        if entry.rule.is_at_boot and not entry.is_booted:
            self._serving.hold_boot(entry, now)
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

    def _note_touched(self, *names: str) -> None:
        """Their rows are written: whoever prepares a plan has to look at them again."""
        if self._touched is not None:
            self._touched.update(names)

    def _entry(
        self,
        spec: ScheduleSpec,
        row: StoredSchedule,
        plan: Plan | None,
        following: Following | None = None,
    ) -> Entry:
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
        entry.find_next(self._serving.booted_at, following or self._following)
        return entry

    def stop(self) -> None:
        """Make no more jobs."""
        self._is_stopped = True

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
        self._moves += 1
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
            entry.find_next(self._serving.booted_at, self._following)
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
        self._moves += 1
        changed: dict[str, Entry] = {}
        for row in schedule_rows.each(self._database):
            entry = self._entries.get(row.name)
            if entry is None or row.name in self._changing:
                continue
            zone_data = zone_data_of(entry.spec)
            if zone_data is not None and zone_data != row.zone_data:
                row = self._succession.go_on(row, zone_data)
                changed[row.name] = self._entry(entry.spec, row, self._serving.plan)
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
        if self._is_stopped or self._serving.plan is None:
            return False
        due_at = self.next_due()
        if due_at is not None and due_at <= now:
            return True
        return self._hands.step() != 0 or self._have_zones_changed()

    def step(self, now: Moment) -> None:
        """Serve what is due, inside a transaction; of many schedules the rest has to wait a turn."""
        if self._is_stopped or self._serving.plan is None:
            return
        by = self._hands.step()
        if by:
            # The moment of this turn may be one of the clock as it was: the next turn serves.
            self._follow_clock(by)
            return
        self._hands.note_sleep()
        if self._have_zones_changed():
            self._follow_zones()
        due = self._take_due(now)
        is_whole = len(due) < self._slice
        self._slice = FIRST_SLICE if is_whole else min(2 * self._slice, SLICE)
        self._serving.look_for_unfinished(self._entries[name] for _, name in due)
        for place, (due_at, name) in enumerate(due):
            if len(self._ledger) >= SLICE:
                for left in due[place:]:
                    heapq.heappush(self._heap, left)
                break
            if name in self._changing:
                heapq.heappush(self._heap, (due_at, name))
                continue
            entry = self._entries[name]
            if entry.due_at == due_at:
                self._note_touched(name)
                self._serving.serve(entry, now)
                self._push(name, entry)
        self._serving.forget_unfinished()
        self._ledger.write()
        self._following.forget()

    def _take_due(self, now: Moment) -> list[tuple[Moment, str]]:
        """Take what is due out of the heap, no more than the slice of this turn."""
        due: list[tuple[Moment, str]] = []
        while len(due) < self._slice and (due_at := self.next_due()) is not None and due_at <= now:
            due.append(heapq.heappop(self._heap))
        return due

    def take_fates(self) -> dict[tuple[str, str], int]:
        """How many instants made no job of their own since the last call, by task and fate. What a
        transaction has decided that was rolled back is among them until this is called."""
        fates = dict(self.fates)
        self.fates.clear()
        return fates

    def recover(self) -> None:
        """A transaction was rolled back: remember what the store says."""
        self._changing.clear()
        self._serving.forget_unfinished()
        self._ledger.forget()
        self._following.forget()
        if self._serving.began_at is None:
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
            entry.find_next(self._serving.booted_at, self._following)
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

    # -- looking ----------------------------------------------------------------------------------

    def entries(self) -> Mapping[str, Entry]:
        """Every schedule of the plan, by name; those that make no jobs have no next instant."""
        return self._entries


def jitter_us(name: str, host: str, jitter_s: float) -> int:
    """How much later than its nominal instants a schedule is due: below ``jitter_s``, the same each time."""
    drawn = int.from_bytes(blake2b(f"{name}\0{host}".encode(), digest_size=8).digest())
    return drawn * round(jitter_s * SECOND) >> 64


def _why_held(spec: ScheduleSpec, plan: Plan) -> str | None:
    if plan.find(spec.task) is not None:
        return None
    if spec.task in plan.unavailable:
        return f'task "{spec.task}" is unavailable: {plan.unavailable[spec.task]}'
    return f'no such task "{spec.task}"'
