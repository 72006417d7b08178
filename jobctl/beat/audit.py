"""The proof of P6: every scheduled instant has exactly one recorded fate.

The proof replays each rule that a schedule ever had, from the moment on at which it came into force, and
lays what it gives beside the rows: every instant must be found once, nothing else may be found. It knows
nothing of how the beat decides; it needs rows and rules alone, so it also judges what a beat of long ago
has left behind.

What the rows cannot show, it cannot prove: instants whose rows retention has removed are passed over, and
so are ``@reboot`` schedules, whose runs follow from boots of the host and not from a rule. A rule whose
text or zone data this host does not have any more is not judged; it is said which.

Work is done in steps: whoever runs an `Audit` may pause wherever it says so.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from jobctl.clock import Moment
    from jobctl.schedule import Schedule

WALKED: Final = 1000
"""Instants of one row that are computed one by one; those of a longer range are counted."""

STEP: Final = 50
"""Instants that are computed between two pauses."""


class Wrong(StrEnum):
    """What can be wrong. The values are part of ``schedule audit --json``."""

    NO_FATE = "no-fate"
    """Instants up to the watermark that no row holds."""
    TWO_FATES = "two-fates"
    """Instants of one rule that two rows hold."""
    NO_INSTANT = "no-instant"
    """A row begins or ends where its rule has no instant."""
    COUNT = "count"
    """A range holds another number of instants than its row says."""
    NO_RULE = "no-rule"
    """A row lies where its rule was not in force, or its rule is not there."""
    EARLY = "early"
    """A row lies after the watermark: those instants have not been decided about."""
    NO_JOB = "no-job"
    """An instant was submitted, but its job is not there, and retention has not removed it."""
    OTHER_JOB = "other-job"
    """The job of an instant was made for another schedule, or for another instant."""
    RULES = "rules"
    """The rules do not follow each other from the creation of the schedule on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """Something that must not be. ``first`` and ``last`` are the moments it is about."""

    wrong: Wrong
    first: Moment
    last: Moment
    count: int = 1
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """One rule and the time it was in force: the instants in (``begins_at``, ``ends_at``] are its own.

    Rules are numbered from 1 on. ``ends_at`` is None while it is in force. ``rule`` is None when it cannot
    be replayed on this host; ``fault`` says why. A clock that was set back lets a rule begin before the one
    before it ended: the instants of the two are different ones all the same.
    """

    number: int
    begins_at: Moment
    ends_at: Moment | None
    rule: Schedule | None
    fault: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What the store says about a schedule: its rules by number, and how far it has come.

    Rows that lie wholly before ``pruned_until`` may have been removed, and rules that had no other rows.
    """

    epochs: Sequence[Epoch]
    created_at: Moment
    watermark: Moment
    is_in_force: bool = True
    pruned_until: Moment | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FireRow:
    """A row of fates, and what the store says about its job.

    ``job_schedule`` is the schedule that the job was made for, None when there is no such job (or none
    was made for any). ``is_job_gone``: there is no such job, and ``may_be_pruned``: retention has removed
    jobs as young as this one.
    """

    rule: int
    first: Moment
    last: Moment
    count: int
    job_id: int | None = None
    job_schedule: int | None = None
    is_job_gone: bool = False
    may_be_pruned: bool = False


class Audit:
    """One schedule, judged page by page.

    `take` is given its rows by their first instant, some at a time, each time together with what the store
    said when they were read: a schedule goes on while it is judged. Rules that begin meanwhile are left to
    the next audit. After the last page ``instants`` says how many were found to have one fate, and
    ``unjudged`` which rules could not be replayed, by number.
    """

    def __init__(self, schedule: int) -> None:
        self._schedule = schedule
        self._newest: int | None = None
        self._ends: dict[int, Moment] = {}
        """By rule: every instant up to here has been judged."""
        self._jobs: dict[int, int] = {}
        """By rule: the newest job."""
        self.instants = 0
        self.unjudged: dict[int, str] = {}

    def take(
        self, known: Known, rows: Sequence[FireRow], *, is_end: bool
    ) -> Iterator[Violation | None]:
        """Judge the next rows; None where a pause may be made.

        ``is_end``: these are the last ones, and what has no row up to the watermark has no fate.
        """
        if self._newest is None:
            self._newest = max((epoch.number for epoch in known.epochs), default=0)
            yield from _judge_rules(known)
            for epoch in known.epochs:
                if epoch.rule is None:
                    self.unjudged[epoch.number] = epoch.fault
        epochs = {epoch.number: epoch for epoch in known.epochs if epoch.number <= self._newest}
        for row in rows:
            if row.rule in epochs:
                yield from self._judge_row(known, epochs[row.rule], row)
                yield from self._judge_job(row)
            elif row.rule < self._newest:
                yield _about(row, Wrong.NO_RULE, "its rule is not there")
            yield None
        if is_end:
            for epoch in epochs.values():
                yield from self._judge_gap(known, epoch, _end(known, epoch))
                yield None

    # -- one row ------------------------------------------------------------------------------------

    def _judge_row(self, known: Known, epoch: Epoch, row: FireRow) -> Iterator[Violation | None]:
        """A row holds instants of its rule, as many as it says, and the row before ends right before it."""
        judged_until = self._ends.get(epoch.number, epoch.begins_at)
        if row.first <= epoch.begins_at:
            yield _about(row, Wrong.NO_RULE, "its rule was not in force yet")
            return
        if row.first <= judged_until:
            yield Violation(
                wrong=Wrong.TWO_FATES,
                first=row.first,
                last=min(row.last, judged_until),
                detail="another row of its rule holds it, too",
            )
            self._ends[epoch.number] = max(judged_until, row.last)
            return
        if row.last > _end(known, epoch):
            if epoch.ends_at is None:
                yield _about(row, Wrong.EARLY, "it lies after the watermark")
            else:
                yield _about(row, Wrong.NO_RULE, "its rule was not in force any more")
        if epoch.rule is not None and not epoch.rule.is_at_boot:
            yield from self._judge_gap(known, epoch, row.first - 1)
            yield from self._judge_instants(epoch.rule, row)
        elif epoch.rule is not None:
            self.instants += row.count
        self._ends[epoch.number] = row.last

    def _judge_instants(self, rule: Schedule, row: FireRow) -> Iterator[Violation | None]:
        for moment in dict.fromkeys((row.first, row.last)):
            if rule.next_after(moment - 1) != moment:
                yield Violation(
                    wrong=Wrong.NO_INSTANT,
                    first=moment,
                    last=moment,
                    detail="its rule has no instant there",
                )
                return
        if row.count > WALKED:
            count = rule.count_between(row.first - 1, row.last)
        else:
            count = yield from _walk(rule, row)
        if count != row.count:
            yield _about(row, Wrong.COUNT, f"its rule has {count} instants there")
            return
        self.instants += count

    def _judge_gap(self, known: Known, epoch: Epoch, until: Moment) -> Iterator[Violation]:
        """A rule has no instant between what was judged and ``until``, bound included."""
        if epoch.rule is None or epoch.rule.is_at_boot:
            return
        after = self._ends.get(epoch.number, epoch.begins_at)
        if known.pruned_until is not None:
            after = max(after, known.pruned_until - 1)
        until = min(until, _end(known, epoch))
        first = epoch.rule.next_after(after)
        if first is None or first > until:
            return
        last = epoch.rule.previous_before(until + 1)
        assert last is not None
        count = epoch.rule.count_between(after, until)
        yield Violation(
            wrong=Wrong.NO_FATE, first=first, last=last, count=count, detail="no row holds it"
        )

    def _judge_job(self, row: FireRow) -> Iterator[Violation]:
        if row.job_id is None:
            return
        if row.is_job_gone:
            if not row.may_be_pruned:
                yield _about(row, Wrong.NO_JOB, f"there is no job {row.job_id}")
        elif row.job_schedule != self._schedule:
            yield _about(row, Wrong.OTHER_JOB, f"job {row.job_id} is not of this schedule")
        newest = self._jobs.get(row.rule, 0)
        if row.job_id <= newest:
            # Instants are served in order, and ids rise: an older job was made for an earlier one.
            yield _about(row, Wrong.OTHER_JOB, f"job {row.job_id} was made for an earlier instant")
        self._jobs[row.rule] = max(newest, row.job_id)


def _judge_rules(known: Known) -> Iterator[Violation]:
    """Rules are numbered without a gap, from the creation on, and the last of them alone is in force."""
    before: Epoch | None = None
    for epoch in known.epochs:
        begins = epoch.begins_at
        if before is None:
            if epoch.number == 1 and begins > known.created_at:
                detail = "the first rule came into force after the creation"
                yield _of_rule(known.created_at, begins, detail)
        elif epoch.number != before.number + 1 and known.pruned_until is None:
            detail = f"no rule is known between {before.number} and {epoch.number}"
            yield _of_rule(before.begins_at, begins, detail)
        if epoch.ends_at is not None and epoch.ends_at < begins:
            yield _of_rule(begins, begins, f"rule {epoch.number} ended before it began")
        if before is not None and before.ends_at is None:
            detail = f"rules {before.number} and {epoch.number} are both in force"
            yield _of_rule(before.begins_at, begins, detail)
        before = epoch
    is_in_force = before is not None and before.ends_at is None
    if is_in_force is not known.is_in_force:
        detail = (
            "no rule is in force" if known.is_in_force else "a rule is in force, though removed"
        )
        at = known.watermark
        yield Violation(wrong=Wrong.RULES, first=at, last=at, detail=detail)


def _of_rule(first: Moment, last: Moment, detail: str) -> Violation:
    return Violation(
        wrong=Wrong.RULES, first=min(first, last), last=max(first, last), detail=detail
    )


def _end(known: Known, epoch: Epoch) -> Moment:
    """Up to when the instants of a rule have a fate."""
    return known.watermark if epoch.ends_at is None else epoch.ends_at


def _walk(rule: Schedule, row: FireRow) -> Generator[None, None, int]:
    """How many instants a row's range holds, computed one by one unless there are far too many."""
    count = 0
    for _ in rule.between(row.first - 1, row.last):
        count += 1
        if count > WALKED:
            return rule.count_between(row.first - 1, row.last)
        if count % STEP == 0:
            yield None
    return count


def _about(row: FireRow, wrong: Wrong, detail: str) -> Violation:
    return Violation(wrong=wrong, first=row.first, last=row.last, count=row.count, detail=detail)
