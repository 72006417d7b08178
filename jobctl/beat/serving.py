"""Serving one schedule: every instant from its watermark up to now gets its fate.

All of it happens inside the turn's transaction; what is decided is noted in the ledger, and written with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Protocol

from jobctl.beat.fates import DISABLED, GRACE_S, NO_DAEMON, Policy, fates_of, paused_text
from jobctl.beat.ledger import SLICE, Ledger
from jobctl.clock import SECOND, Moment
from jobctl.errors import JobctlError
from jobctl.logs import fields, logger
from jobctl.store import fires as fire_rows
from jobctl.store import jobs as job_rows
from jobctl.store import schedules as schedule_rows
from jobctl.store.fires import Fire

if TYPE_CHECKING:
    from jobctl.beat.entry import Entry
    from jobctl.beat.following import Following
    from jobctl.beat.hands import Hands
    from jobctl.plan import Plan, ScheduleSpec
    from jobctl.store.database import Database

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


TellMissed = Callable[["ScheduleSpec", "Moment", "Moment", int, str, "Moment"], None]
"""Hears of instants that were missed, inside the turn's transaction: the schedule, the first and the last of
them, how many, why, and the present moment."""


class Serving:
    """See the module. ``plan`` is the one in force, ``began_at`` when this daemon looked at the schedules
    first; None: not yet."""

    def __init__(
        self,
        *,
        database: Database,
        make_job: MakeJob,
        cancel: Cancel,
        boot_id: str,
        hands: Hands,
        ledger: Ledger,
        following: Following,
        tell_missed: TellMissed | None = None,
    ) -> None:
        self._database = database
        self._tell_missed = tell_missed
        self._make_job = make_job
        self._cancel = cancel
        self._boot_id = boot_id
        self._hands = hands
        self._ledger = ledger
        self._following = following
        # Schedules that have no unfinished job, as far as this step has looked.
        self._are_free: set[int] = set()
        self.fates: dict[tuple[str, str], int] = {}
        self.plan: Plan | None = None
        self.began_at: Moment | None = None

    @property
    def booted_at(self) -> Moment:
        """The moment that stands for a boot: that at which this daemon looked at the schedules first."""
        assert self.began_at is not None
        return self.began_at

    def look_for_unfinished(self, entries: Iterable[Entry]) -> None:
        """Ask for all that are due at once, not for each, whether a job of theirs stands in the way: mostly
        none does. It holds until `forget_unfinished`."""
        ids = {entry.id for entry in entries}
        self._are_free = ids - job_rows.schedules_with_unfinished(self._database, ids)

    def forget_unfinished(self) -> None:
        """Jobs of schedules may come and go from now on."""
        self._are_free.clear()

    def serve(self, entry: Entry, now: Moment) -> None:
        """Do what is due: end a pause, decide about every instant from the watermark up to now."""
        if entry.paused_at is not None:
            assert entry.paused_until is not None
            self.end_pause(entry, entry.paused_until - 1)
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
            if each.fate == "missed" and self._tell_missed is not None:
                count = entry.rule.count_between(each.first - 1, each.last)
                self._tell_missed(entry.spec, each.first, each.last, count, each.reason, now)
        for instant in fates.served:
            self._fire(entry, instant, now)
            # What follows is no instant of this schedule any more, or is left to the next turn.
            if entry.is_exhausted or len(self._ledger) >= SLICE:
                return instant
        return last

    def _policy_of(self, entry: Entry, last: Moment) -> Policy:
        assert self.plan is not None
        spec = entry.spec
        within_s = self.plan.missed_within_of(spec)
        late = NO_DAEMON
        if last > self.booted_at:
            late = self._hands.why_late(last) or NOTICED_LATE
        return Policy(
            on_missed=self.plan.on_missed_of(spec),
            within_us=None if within_s is None else round(within_s * SECOND),
            limit=self.plan.missed_limit_of(spec),
            # Counted from the instant; the jitter has passed already.
            expires_us=None
            if spec.expires_s is None
            else round(spec.expires_s * SECOND) - entry.delay_us,
            late=late,
        )

    def _advance(self, entry: Entry, watermark: Moment) -> None:
        entry.watermark = watermark
        self._ledger.advance(entry.id, watermark=watermark, runs=entry.runs)
        entry.find_next(self.booted_at, self._following)

    def _serve_boot(self, entry: Entry, now: Moment) -> None:
        # Behind the watermark in any case: the clock may have been wrong until the host knew better.
        instant = max(self.booted_at, entry.watermark + 1)
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

    def end_pause(self, entry: Entry, at: Moment) -> None:
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
        entry.find_next(self.booted_at, self._following)

    def _fire(self, entry: Entry, instant: Moment, now: Moment) -> None:
        """Serve one instant: a job, unless an earlier one of this schedule stands against it."""
        assert self.plan is not None
        overlap = self.plan.on_overlap_of(entry.spec)
        waits = False
        if overlap != "allow":
            earlier = self._earlier_of(entry)
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
        self._are_free.discard(entry.id)
        fire = Fire(entry.id, entry.number, instant, instant, 1, "submitted", job.id)
        self._ledger.add(fire, job)

    def _earlier_of(self, entry: Entry) -> list[job_rows.Unfinished]:
        """The unfinished jobs of a schedule."""
        if self._ledger.holds(entry.id):
            self._ledger.write()
        elif entry.id in self._are_free:
            return []
        return job_rows.unfinished_of_schedule(self._database, schedule=entry.id)

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
        told = entry.spec.task, fate
        self.fates[told] = self.fates.get(told, 0) + count
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

    def hold_boot(self, entry: Entry, now: Moment) -> None:
        """A boot that a schedule shall not run at has its fate, too."""
        is_paused = entry.paused_at is not None
        if is_paused and entry.paused_until is not None and entry.paused_until <= self.booted_at:
            is_paused = False
        if entry.spec.enabled and not is_paused:
            return
        reason = paused_text(entry.paused_until) if is_paused else DISABLED
        instant = max(self.booted_at, entry.watermark + 1)
        self._pass(entry, instant, instant, "held", reason)
        self._note_boot(entry, instant)
