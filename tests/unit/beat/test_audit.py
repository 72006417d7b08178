"""The audit finds each kind of fault in rows that were broken by hand, and none in whole ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.beat.audit import WALKED, Audit, Epoch, FireRow, Known, Violation, Wrong
from jobctl.clock import SECOND
from jobctl.schedule import parse_schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.schedule import Schedule

MINUTE = 60 * SECOND
T0 = 1_800_000_000 * SECOND
"""2027-01-15 08:00:00 UTC."""

EVERY_MINUTE = parse_schedule("interval", "1m", anchor_at=T0)
EVERY_TEN = parse_schedule("crontab", "*/10 * * * *")


def minute(number: int, **others: Any) -> FireRow:
    """The row of the instant ``number`` minutes after T0, which was submitted."""
    given = {"rule": 1, "count": 1, "job_id": 100 + number, "job_schedule": 1, **others}
    return FireRow(first=T0 + number * MINUTE, last=T0 + number * MINUTE, **given)


def minutes(first: int, last: int, **others: Any) -> FireRow:
    """The row of a range of minutes after T0."""
    given = {"rule": 1, "count": last - first + 1, **others}
    return FireRow(first=T0 + first * MINUTE, last=T0 + last * MINUTE, **given)


def known(*epochs: Epoch, until: int = 5, **others: Any) -> Known:
    """A schedule whose watermark lies ``until`` minutes after T0; each minute unless told."""
    rules = epochs or (epoch(),)
    return Known(epochs=rules, created_at=T0, watermark=T0 + until * MINUTE, **others)


def epoch(
    begins: int = 0,
    ends: int | None = None,
    rule: Schedule | None = EVERY_MINUTE,
    *,
    number: int = 1,
    fault: str = "",
) -> Epoch:
    """A rule and from which minute to which it was in force."""
    return Epoch(
        number=number,
        begins_at=T0 + begins * MINUTE,
        ends_at=None if ends is None else T0 + ends * MINUTE,
        rule=rule,
        fault=fault,
    )


def judged(of: Known, *rows: FireRow, page: int = 3) -> list[Violation]:
    """What an audit says about these rows, read some at a time."""
    return _judged(of, rows, page)[0]


def _judged(of: Known, rows: Sequence[FireRow], page: int = 3) -> tuple[list[Violation], Audit]:
    audit = Audit(schedule=1)
    found = []
    for place in range(0, len(rows) + 1, page):
        some = rows[place : place + page]
        found += [one for one in audit.take(of, some, is_end=len(some) < page) if one]
    return found, audit


def wrongs(of: Known, *rows: FireRow) -> list[tuple[Wrong, int, int]]:
    """What is wrong, and about which minutes after T0."""
    return [
        (found.wrong, (found.first - T0) // MINUTE, (found.last - T0) // MINUTE)
        for found in judged(of, *rows)
    ]


WHOLE = (minute(1), minutes(2, 3), minute(4), minute(5))


@pytest.mark.parametrize("page", [1, 2, 3, 4, 5])
def test_whole_rows_are_found_right_and_counted(page: int) -> None:
    violations, audit = _judged(known(), WHOLE, page)

    assert violations == []
    assert audit.instants == 5


def test_a_schedule_that_has_only_begun_is_right() -> None:
    assert judged(known(until=0)) == []


# -- gaps -------------------------------------------------------------------------------------------


def test_a_missing_row_in_the_middle_is_a_gap() -> None:
    assert wrongs(known(), minute(1), minute(4), minute(5)) == [(Wrong.NO_FATE, 2, 3)]


def test_missing_rows_at_the_beginning_and_at_the_end_are_gaps() -> None:
    rows = (minute(2), minute(3))

    assert wrongs(known(), *rows) == [(Wrong.NO_FATE, 1, 1), (Wrong.NO_FATE, 4, 5)]


def test_a_gap_says_how_many_instants_it_holds() -> None:
    (violation,) = judged(known(until=100))

    assert (violation.count, violation.last - violation.first) == (100, 99 * MINUTE)


def test_the_instant_of_the_watermark_itself_needs_a_fate() -> None:
    assert wrongs(known(), *WHOLE[:-1]) == [(Wrong.NO_FATE, 5, 5)]


def test_what_retention_may_have_removed_is_no_gap() -> None:
    pruned = known(pruned_until=T0 + 4 * MINUTE)

    assert wrongs(pruned, minute(4), minute(5)) == []
    assert wrongs(pruned, minute(1), minute(4), minute(5)) == []
    assert wrongs(pruned, minute(5)) == [(Wrong.NO_FATE, 4, 4)]


# -- rows that overlap or lie wrong -------------------------------------------------------------------


def test_an_instant_in_two_rows_has_two_fates() -> None:
    rows = (minute(1), minutes(2, 4), minute(4), minute(5))

    assert wrongs(known(), *rows) == [(Wrong.TWO_FATES, 4, 4)]


def test_a_row_within_another_does_not_hide_the_end_of_the_longer_one() -> None:
    rows = (minute(1), minutes(2, 4), minute(3, job_id=300), minute(5, job_id=301))

    assert wrongs(known(), *rows) == [(Wrong.TWO_FATES, 3, 3)]


def test_a_row_where_the_rule_has_no_instant() -> None:
    row = replace(minute(4), first=T0 + 4 * MINUTE - SECOND, last=T0 + 4 * MINUTE - SECOND)

    found = judged(known(), minute(1), minutes(2, 3), row, minute(5))

    # What the row should have held has no fate then; the two are told as they come.
    assert [violation.wrong for violation in found] == [Wrong.NO_INSTANT, Wrong.NO_FATE]


def test_a_range_that_ends_where_the_rule_has_no_instant() -> None:
    row = replace(minutes(2, 3), last=T0 + 3 * MINUTE + SECOND)

    (found,) = judged(known(), minute(1), row, minute(4), minute(5))

    assert (found.wrong, found.first) == (Wrong.NO_INSTANT, T0 + 3 * MINUTE + SECOND)


@pytest.mark.parametrize("count", [1, 3])
def test_a_wrong_count(count: int) -> None:
    rows = (minute(1), minutes(2, 3, count=count), minute(4), minute(5))

    assert wrongs(known(), *rows) == [(Wrong.COUNT, 2, 3)]


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_counts_of_ranges_too_long_to_be_walked(off: int) -> None:
    last = 10 * WALKED
    found = wrongs(known(until=last), minutes(1, last, count=last + off))

    assert found == ([(Wrong.COUNT, 1, last)] if off else [])


def test_a_range_that_says_it_is_short_and_is_endless() -> None:
    last = 10 * WALKED

    assert wrongs(known(until=last), minutes(1, last, count=2)) == [(Wrong.COUNT, 1, last)]


def test_a_row_after_the_watermark() -> None:
    assert wrongs(known(until=4), *WHOLE) == [(Wrong.EARLY, 5, 5)]


# -- rules --------------------------------------------------------------------------------------------


def edited(*, begins: int = 3, ends: int = 3) -> Known:
    """Each minute until minute ``ends``, each tenth from minute ``begins`` on."""
    return known(epoch(ends=ends), epoch(begins, None, EVERY_TEN, number=2), until=20)


TENS = (minute(10, rule=2), minute(20, rule=2))


def test_each_rule_is_asked_for_its_own_time_only() -> None:
    assert wrongs(edited(), minutes(1, 3), *TENS) == []


def test_an_instant_of_the_old_rule_in_the_time_of_the_new_one() -> None:
    rows = (minutes(1, 3), minute(4, rule=2), *TENS)

    assert wrongs(edited(), *rows) == [(Wrong.NO_INSTANT, 4, 4)]


def test_a_range_over_the_end_of_its_rule() -> None:
    assert wrongs(edited(), minutes(1, 4), *TENS) == [(Wrong.NO_RULE, 1, 4)]


def test_a_row_before_its_rule() -> None:
    rows = (minutes(1, 2), minute(3, rule=2), *TENS)

    assert wrongs(edited(), *rows) == [(Wrong.NO_RULE, 3, 3), (Wrong.NO_FATE, 3, 3)]


def test_a_gap_at_the_end_of_a_rule() -> None:
    assert wrongs(edited(), minutes(1, 2), *TENS) == [(Wrong.NO_FATE, 3, 3)]


def test_a_row_while_the_schedule_was_removed() -> None:
    rows = (minutes(1, 3), minute(4), *TENS)

    assert wrongs(edited(begins=5), *rows) == [(Wrong.NO_RULE, 4, 4)]


def test_a_row_of_a_rule_that_is_not_there() -> None:
    of = known(epoch(number=3), until=2)

    assert wrongs(of, minute(1, rule=2), minute(1, rule=3), minute(2, rule=3)) == [
        (Wrong.NO_RULE, 1, 1)
    ]


def test_a_clock_that_was_set_back_gives_two_rules_the_same_moments() -> None:
    """An interval goes on as if the clock had not been set: its second rule repeats minutes 3 to 5."""
    of = known(epoch(ends=5), epoch(begins=2, number=2), until=6)
    rows = [minute(number) for number in range(1, 6)]
    rows += [minute(number, rule=2, job_id=200 + number) for number in range(3, 7)]
    rows.sort(key=lambda row: (row.first, row.rule))

    assert wrongs(of, *rows) == []
    assert wrongs(of, *rows[:3], *rows[4:]) == [(Wrong.NO_FATE, 3, 3)]


def test_a_rule_that_begins_while_it_is_judged_is_left_to_the_next_audit() -> None:
    audit = Audit(schedule=1)
    first = [one for one in audit.take(known(), WHOLE[:2], is_end=False) if one]
    then = known(epoch(ends=5), epoch(begins=5, rule=EVERY_TEN, number=2), until=30)
    rows = (*WHOLE[2:], minute(10, rule=2))

    assert first + [one for one in audit.take(then, rows, is_end=True) if one] == []
    assert audit.instants == 5


def test_a_rule_that_is_missing_between_two() -> None:
    of = known(epoch(ends=3), epoch(3, None, EVERY_TEN, number=3), until=9)

    assert wrongs(of, minutes(1, 3)) == [(Wrong.RULES, 0, 3)]
    pruned = known(*of.epochs, until=9, pruned_until=T0 + 1)
    assert wrongs(pruned, minutes(1, 3)) == []


def test_a_first_rule_that_came_too_late() -> None:
    assert wrongs(known(epoch(begins=2)), minutes(3, 5)) == [(Wrong.RULES, 0, 2)]


def test_two_rules_in_force_at_once() -> None:
    both = known(epoch(), epoch(begins=5, number=2))

    assert (Wrong.RULES, 0, 5) in wrongs(both, *WHOLE)


def test_a_rule_that_ended_before_it_began() -> None:
    backward = known(epoch(ends=-1), epoch(0, None, EVERY_TEN, number=2))

    assert wrongs(backward) == [(Wrong.RULES, 0, 0)]


def test_a_schedule_in_force_without_a_rule() -> None:
    assert wrongs(known(epoch(ends=5)), *WHOLE) == [(Wrong.RULES, 5, 5)]
    assert wrongs(known(epoch(ends=5), is_in_force=False), *WHOLE) == []


def test_a_removed_schedule_with_a_rule_in_force() -> None:
    assert wrongs(known(is_in_force=False), *WHOLE) == [(Wrong.RULES, 5, 5)]


def test_a_rule_that_cannot_be_replayed_is_not_judged_and_named() -> None:
    lost = known(epoch(rule=None, fault='unknown time zone "X/Y"'))

    violations, audit = _judged(lost, WHOLE)

    assert (violations, audit.instants) == ([], 0)
    assert audit.unjudged == {1: 'unknown time zone "X/Y"'}


def test_runs_after_boots_follow_from_no_rule() -> None:
    at_boot = parse_schedule("crontab", "@reboot")
    rows = (minute(1), minute(3))

    assert wrongs(known(epoch(rule=at_boot)), *rows) == []


# -- jobs ---------------------------------------------------------------------------------------------


def test_an_instant_whose_job_is_not_there() -> None:
    rows = (minute(1, is_job_gone=True), *WHOLE[1:])

    assert wrongs(known(), *rows) == [(Wrong.NO_JOB, 1, 1)]


def test_a_job_that_retention_removed_is_not_missed() -> None:
    rows = (minute(1, is_job_gone=True, may_be_pruned=True), *WHOLE[1:])

    assert wrongs(known(), *rows) == []


@pytest.mark.parametrize("schedule", [2, None])
def test_an_instant_with_the_job_of_another_schedule(schedule: int | None) -> None:
    rows = (minute(1, job_schedule=schedule), *WHOLE[1:])

    assert wrongs(known(), *rows) == [(Wrong.OTHER_JOB, 1, 1)]


def test_one_job_for_two_instants() -> None:
    rows = (minute(1), minutes(2, 3), minute(4), minute(5, job_id=104))

    assert wrongs(known(), *rows) == [(Wrong.OTHER_JOB, 5, 5)]


def test_every_kind_of_fault_is_found_by_a_test_of_this_file() -> None:
    from pathlib import Path

    text = Path(__file__).read_text()

    assert [kind for kind in Wrong if f"Wrong.{kind.name}" not in text] == []
