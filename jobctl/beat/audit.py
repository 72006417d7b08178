"""The proof of P6: every scheduled instant has exactly one recorded fate.

The proof replays each rule that a schedule ever had, from the moment on at which it came into force, and
lays what it gives beside the rows: every instant must be found once, nothing else may be found. It knows
nothing of how the beat decides; it needs rows and rules alone, so it also judges what a beat of long ago
has left behind.

What the rows cannot show, it cannot prove: instants whose rows retention has removed are passed over, and
so are ``@reboot`` schedules, whose runs follow from boots of the host and not from a rule. Zone data that
has changed since may make an old instant look wrong: the rule is replayed with the data of today.

Work is done in steps: whoever runs an `Audit` may pause wherever it says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

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
    """Instants that two rows hold."""
    NO_INSTANT = "no-instant"
    """A row begins or ends where the rule has no instant."""
    COUNT = "count"
    """A range holds another number of instants than its row says."""
    NO_RULE = "no-rule"
    """A row lies where no rule was in force, or reaches out of the time of its rule."""
    EARLY = "early"
    """A row lies after the watermark: those instants have not been decided about."""
    NO_JOB = "no-job"
    """An instant was submitted, but its job is not there, and retention has not removed it."""
    OTHER_JOB = "other-job"
    """The job of an instant was made for another schedule, or for another instant."""
    RULES = "rules"
    """Two rules were in force at once, or one ended before it began."""
    UNREADABLE = "unreadable"
    """A rule cannot be understood any more, so its instants cannot be judged."""


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

    ``ends_at`` is None while it is in force. ``rule`` is None when its text cannot be understood any more;
    ``fault`` says why.
    """

    begins_at: Moment
    ends_at: Moment | None
    rule: Schedule | None
    fault: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What the store says about a schedule: its rules, oldest first, and how far it has come.

    Rows that lie wholly before ``pruned_until`` may have been removed.
    """

    epochs: Sequence[Epoch]
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

    first: Moment
    last: Moment
    count: int
    job_id: int | None = None
    job_schedule: int | None = None
    is_job_gone: bool = False
    may_be_pruned: bool = False


class Audit:
    """One schedule, judged page by page.

    ``take`` is given its rows in order, some at a time, each time together with what the store said when
    they were read: a schedule goes on while it is judged. After the last page it holds ``instants``, how
    many were found to have one fate.
    """

    def __init__(self, schedule: int) -> None:
        self._schedule = schedule
        self._at: Moment | None = None
        """Every instant up to here has been judged."""
        self._job_id = 0
        self._told: set[tuple[Wrong, Moment]] = set()
        self.instants = 0

    def take(
        self, known: Known, rows: Sequence[FireRow], *, is_end: bool
    ) -> Iterator[Violation | None]:
        """Judge the next rows; None where a pause may be made.

        ``is_end``: these are the last ones, and what has no row up to the watermark has no fate.
        """
        yield from self._judge_rules(known)
        ahead = self._ahead(known)
        for row in rows:
            yield from self._judge_place(ahead, row)
            yield from self._judge_job(row)
            yield None
        if is_end:
            yield from self._judge_gap(ahead, None)

    def _ahead(self, known: Known) -> Known:
        """Without the rules whose time has been judged: a schedule may have had many."""
        epochs = [
            epoch
            for epoch in known.epochs
            if self._at is None or epoch.ends_at is None or epoch.ends_at > self._at
        ]
        return replace(known, epochs=epochs)

    def _judge_rules(self, known: Known) -> Iterator[Violation]:
        """The times of rules follow each other. Each fault is told once, however many pages there are."""
        if known.is_in_force is not any(epoch.ends_at is None for epoch in known.epochs):
            detail = "none is in force" if known.is_in_force else "one is in force, though removed"
            yield from self._tell(known.watermark, known.watermark, Wrong.RULES, detail)
        ended_at: Moment | None = None
        for place, epoch in enumerate(known.epochs):
            begins, ends = epoch.begins_at, epoch.ends_at
            if ends is not None and ends < begins:
                yield from self._tell(begins, begins, Wrong.RULES, "a rule ended before it began")
            elif ended_at is not None and begins < ended_at:
                detail = "a rule began before the one before it ended"
                yield from self._tell(begins, ended_at, Wrong.RULES, detail)
            elif ends is None and place < len(known.epochs) - 1:
                yield from self._tell(begins, begins, Wrong.RULES, "two rules are in force")
            elif epoch.rule is None:
                yield from self._tell(begins, ends or begins, Wrong.UNREADABLE, epoch.fault)
            ended_at = ends

    def _tell(self, first: Moment, last: Moment, wrong: Wrong, detail: str) -> Iterator[Violation]:
        if (wrong, first) not in self._told:
            self._told.add((wrong, first))
            yield Violation(wrong=wrong, first=first, last=last, detail=detail)

    # -- one row ------------------------------------------------------------------------------------

    def _judge_place(self, known: Known, row: FireRow) -> Iterator[Violation | None]:
        """A row holds instants of one rule, as many as it says, and the row before ends right before it."""
        if row.last > known.watermark:
            yield _about(row, Wrong.EARLY, "it lies after the watermark")
        if self._at is not None and row.first <= self._at:
            yield Violation(
                wrong=Wrong.TWO_FATES,
                first=row.first,
                last=min(row.last, self._at),
                detail="the row before holds it, too",
            )
            self._at = max(self._at, row.last)
            return
        yield from self._judge_gap(known, row.first - 1)
        epoch = _epoch_at(known, row.first)
        if epoch is None:
            yield _about(row, Wrong.NO_RULE, "no rule was in force")
        elif epoch.ends_at is not None and row.last > epoch.ends_at:
            yield _about(row, Wrong.NO_RULE, "it reaches over the end of its rule")
        elif epoch.rule is not None and not epoch.rule.is_at_boot:
            yield from self._judge_instants(epoch.rule, row)
        elif row.first == row.last:
            self.instants += row.count
        self._at = row.last

    def _judge_instants(self, rule: Schedule, row: FireRow) -> Iterator[Violation | None]:
        for moment in dict.fromkeys((row.first, row.last)):
            if rule.next_after(moment - 1) != moment:
                yield Violation(
                    wrong=Wrong.NO_INSTANT,
                    first=moment,
                    last=moment,
                    detail="the rule has no instant there",
                )
                return
        if row.count > WALKED:
            count = rule.count_between(row.first - 1, row.last)
        else:
            count = yield from _walk(rule, row)
        if count != row.count:
            yield _about(row, Wrong.COUNT, f"the rule has {count} instants there")
            return
        self.instants += count

    def _judge_gap(self, known: Known, until: Moment | None) -> Iterator[Violation]:
        """No rule has an instant between what was judged and ``until``, bound included; None: at all."""
        for epoch in known.epochs:
            if epoch.rule is None or epoch.rule.is_at_boot:
                continue
            after = epoch.begins_at
            if self._at is not None:
                after = max(after, self._at)
            if known.pruned_until is not None:
                after = max(after, known.pruned_until - 1)
            # What is in force is due up to the watermark only.
            end = known.watermark if epoch.ends_at is None else epoch.ends_at
            if until is not None:
                end = min(end, until)
            if end <= after:
                continue
            first = epoch.rule.next_after(after)
            if first is None or first > end:
                continue
            last = epoch.rule.previous_before(end + 1)
            assert last is not None
            yield Violation(
                wrong=Wrong.NO_FATE,
                first=first,
                last=last,
                count=epoch.rule.count_between(after, end),
                detail="no row holds it",
            )

    def _judge_job(self, row: FireRow) -> Iterator[Violation]:
        if row.job_id is None:
            return
        if row.is_job_gone:
            if not row.may_be_pruned:
                yield _about(row, Wrong.NO_JOB, f"there is no job {row.job_id}")
        elif row.job_schedule != self._schedule:
            yield _about(row, Wrong.OTHER_JOB, f"job {row.job_id} is not of this schedule")
        if row.job_id <= self._job_id:
            # Instants are served in order, and ids rise: an older job was made for an earlier one.
            yield _about(row, Wrong.OTHER_JOB, f"job {row.job_id} was made for an earlier instant")
        self._job_id = max(self._job_id, row.job_id)


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


def _epoch_at(known: Known, moment: Moment) -> Epoch | None:
    """The rule that was in force; of several the newest."""
    for epoch in reversed(known.epochs):
        if epoch.begins_at < moment and (epoch.ends_at is None or moment <= epoch.ends_at):
            return epoch
    return None
