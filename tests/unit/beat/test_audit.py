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

MINUTE = 60 * SECOND
T0 = 1_800_000_000 * SECOND
"""2027-01-15 08:00:00 UTC."""

EVERY_MINUTE = parse_schedule("interval", "1m", anchor_at=T0)
EVERY_TEN = parse_schedule("crontab", "*/10 * * * *")


def minute(number: int, **others: Any) -> FireRow:
    """The row of the instant ``number`` minutes after T0, which was submitted."""
    given = {"count": 1, "job_id": 100 + number, "job_schedule": 1, **others}
    return FireRow(first=T0 + number * MINUTE, last=T0 + number * MINUTE, **given)


def minutes(first: int, last: int, **others: Any) -> FireRow:
    """The row of a range of minutes after T0."""
    given = {"count": last - first + 1, **others}
    return FireRow(first=T0 + first * MINUTE, last=T0 + last * MINUTE, **given)


def known(*epochs: Epoch, until: int = 5, **others: Any) -> Known:
    """A schedule whose watermark lies ``until`` minutes after T0; each minute unless told."""
    rules = epochs or (Epoch(begins_at=T0, ends_at=None, rule=EVERY_MINUTE),)
    return Known(epochs=rules, watermark=T0 + until * MINUTE, **others)


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
    return known(
        Epoch(begins_at=T0, ends_at=T0 + ends * MINUTE, rule=EVERY_MINUTE),
        Epoch(begins_at=T0 + begins * MINUTE, ends_at=None, rule=EVERY_TEN),
        until=20,
    )


def test_each_rule_is_asked_for_its_own_time_only() -> None:
    rows = (minutes(1, 3), minute(10), minute(20))

    assert wrongs(edited(), *rows) == []


def test_an_instant_of_the_old_rule_in_the_time_of_the_new_one() -> None:
    rows = (minutes(1, 3), minute(4), minute(10), minute(20))

    assert wrongs(edited(), *rows) == [(Wrong.NO_INSTANT, 4, 4)]


def test_a_range_over_the_end_of_its_rule() -> None:
    rows = (minutes(1, 4), minute(10), minute(20))

    assert wrongs(edited(), *rows) == [(Wrong.NO_RULE, 1, 4)]


def test_a_gap_at_the_end_of_a_rule() -> None:
    rows = (minutes(1, 2), minute(10), minute(20))

    assert wrongs(edited(), *rows) == [(Wrong.NO_FATE, 3, 3)]


def test_a_row_while_the_schedule_was_removed() -> None:
    rows = (minutes(1, 3), minute(4), minute(10), minute(20))

    assert wrongs(edited(begins=5), *rows) == [(Wrong.NO_RULE, 4, 4)]


def test_rules_that_overlap() -> None:
    assert wrongs(edited(begins=2), minutes(1, 3), minute(10), minute(20)) == [(Wrong.RULES, 2, 3)]


def test_two_rules_in_force_at_once() -> None:
    both = known(
        Epoch(begins_at=T0, ends_at=None, rule=EVERY_MINUTE),
        Epoch(begins_at=T0 + 5 * MINUTE, ends_at=None, rule=EVERY_MINUTE),
    )

    assert (Wrong.RULES, 0, 0) in wrongs(both, *WHOLE)


def test_a_rule_that_ended_before_it_began() -> None:
    backward = known(
        Epoch(begins_at=T0 + 9 * MINUTE, ends_at=T0 + 8 * MINUTE, rule=EVERY_MINUTE),
        Epoch(begins_at=T0 + 9 * MINUTE + 1, ends_at=None, rule=EVERY_TEN),
        until=9,
    )

    assert wrongs(backward) == [(Wrong.RULES, 9, 9)]


def test_a_schedule_in_force_without_a_rule() -> None:
    ended = Epoch(begins_at=T0, ends_at=T0 + 5 * MINUTE, rule=EVERY_MINUTE)

    assert wrongs(known(ended), *WHOLE) == [(Wrong.RULES, 5, 5)]
    assert wrongs(known(ended, is_in_force=False), *WHOLE) == []


def test_a_removed_schedule_with_a_rule_in_force() -> None:
    assert wrongs(known(is_in_force=False), *WHOLE) == [(Wrong.RULES, 5, 5)]


def test_a_rule_that_cannot_be_understood_is_told_once_and_not_judged() -> None:
    lost = known(Epoch(begins_at=T0, ends_at=None, rule=None, fault='unknown time zone "X/Y"'))

    (violation,) = judged(lost, *WHOLE)

    assert (violation.wrong, violation.detail) == (Wrong.UNREADABLE, 'unknown time zone "X/Y"')


def test_runs_after_boots_follow_from_no_rule() -> None:
    at_boot = parse_schedule("crontab", "@reboot")
    rows = (minute(1), minute(3))

    assert wrongs(known(Epoch(begins_at=T0, ends_at=None, rule=at_boot)), *rows) == []


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
