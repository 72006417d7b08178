"""What becomes of instants that have passed: ranges passed over, then instants served."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.beat.fates import EXPIRED, GRACE_S, TOO_OLD, Fates, Policy, fates_of
from jobctl.clock import SECOND, Moment
from jobctl.schedule import parse_schedule
from tests.support.clock import START

TEN = parse_schedule("interval", "10s", timezone="UTC", anchor_at=START)


def at(tens: int) -> Moment:
    return START + tens * 10 * SECOND


def fates(first: int, last: int, *, late_s: float, on_missed: str = "skip", **policy: Any) -> Fates:
    now = at(last) + round(late_s * SECOND)
    told = Policy(on_missed=on_missed, **policy)
    return fates_of(TEN, at(first), at(last), now=now, policy=told)


def told(found: Fates) -> list[tuple[str, int, int]]:
    ranges = [(p.fate, p.first, p.last) for p in found.passed]
    ranges += [("served", instant, instant) for instant in found.served]
    return [(fate, (a - START) // at_ten, (b - START) // at_ten) for fate, a, b in ranges]


at_ten = 10 * SECOND


@pytest.mark.parametrize("on_missed", ["skip", "once", "all"])
def test_an_instant_in_time_is_served(on_missed: str) -> None:
    assert told(fates(5, 5, late_s=0, on_missed=on_missed)) == [("served", 5, 5)]


def test_an_instant_at_the_end_of_the_grace_is_served() -> None:
    assert told(fates(5, 5, late_s=GRACE_S)) == [("served", 5, 5)]


def test_an_instant_after_the_grace_is_missed() -> None:
    assert told(fates(5, 5, late_s=GRACE_S + 0.000001)) == [("missed", 5, 5)]


@pytest.mark.parametrize("on_missed", ["once", "all"])
def test_a_missed_instant_is_made_up_for_when_asked(on_missed: str) -> None:
    assert told(fates(5, 5, late_s=3600, on_missed=on_missed)) == [("served", 5, 5)]


def test_several_instants_within_the_grace_are_coalesced_into_the_last() -> None:
    assert told(fates(3, 5, late_s=1)) == [("coalesced", 3, 4), ("served", 5, 5)]


def test_skip_misses_the_old_coalesces_the_recent_and_serves_the_last() -> None:
    # 20 to 25 lie within the grace of 60 s, 19 lies 61 s back.
    assert told(fates(1, 25, late_s=1)) == [
        ("missed", 1, 19),
        ("coalesced", 20, 24),
        ("served", 25, 25),
    ]


def test_skip_after_a_long_time_misses_all() -> None:
    assert told(fates(1, 500, late_s=100)) == [("missed", 1, 500)]


def test_skip_serves_an_instant_in_time_even_after_a_long_gap() -> None:
    found = fates_of(
        parse_schedule("interval", "1h", timezone="UTC", anchor_at=START),
        START,
        START + 10 * 3600 * SECOND,
        now=START + 10 * 3600 * SECOND,
        policy=Policy(),
    )

    assert [(p.fate, p.last) for p in found.passed] == [("missed", START + 9 * 3600 * SECOND)]
    assert found.served == (START + 10 * 3600 * SECOND,)


def test_once_makes_one_job_for_all_of_them() -> None:
    assert told(fates(1, 500, late_s=5000, on_missed="once")) == [
        ("coalesced", 1, 499),
        ("served", 500, 500),
    ]


def test_all_serves_each() -> None:
    assert told(fates(1, 4, late_s=5000, on_missed="all")) == [
        ("served", n, n) for n in range(1, 5)
    ]


def test_all_has_a_limit_and_the_oldest_beyond_it_are_missed() -> None:
    found = fates(1, 107, late_s=0, on_missed="all", limit=20)

    assert told(found)[0] == ("missed", 1, 87)
    assert len(found.served) == 20
    assert found.passed[0].reason == "more than 20 at once"


def test_all_at_its_limit_misses_none() -> None:
    found = fates(1, 20, late_s=0, on_missed="all", limit=20)

    assert not found.passed
    assert len(found.served) == 20


# -- too late to be made up for -----------------------------------------------------------------------


def test_only_what_was_missed_lately_is_made_up_for() -> None:
    # 500 is 1000 s old, 451 is 1490 s old, 450 is 1500 s old: the bound is included.
    found = fates(1, 500, late_s=1000, on_missed="all", within_us=1500 * SECOND)

    assert told(found)[0] == ("missed", 1, 449)
    assert found.passed[0].reason == TOO_OLD
    assert told(found)[1:] == [("served", n, n) for n in range(450, 501)]


def test_once_makes_no_job_when_all_were_missed_too_long_ago() -> None:
    found = fates(1, 5, late_s=1000, on_missed="once", within_us=999 * SECOND)

    assert told(found) == [("missed", 1, 5)]


def test_what_lies_within_the_grace_is_not_missed_however_short_the_bound() -> None:
    found = fates(5, 5, late_s=GRACE_S, on_missed="once", within_us=SECOND)

    assert told(found) == [("served", 5, 5)]


def test_no_job_is_made_that_could_not_start_any_more() -> None:
    found = fates(1, 5, late_s=15, expires_us=20 * SECOND)

    # 4 is 25 s old and 5 is 15 s old.
    assert told(found) == [("missed", 1, 4), ("served", 5, 5)]
    assert found.passed[0].reason == EXPIRED


def test_a_job_that_would_expire_now_is_not_made() -> None:
    assert told(fates(5, 5, late_s=20, expires_us=20 * SECOND)) == [("missed", 5, 5)]
    assert told(fates(5, 5, late_s=19.999999, expires_us=20 * SECOND)) == [("served", 5, 5)]


def test_each_bound_tells_its_own_reason() -> None:
    # 500 is 30 s old. Those older than the grace end with 496, those that expire with 499.
    found = fates(1, 500, late_s=30, expires_us=40 * SECOND)

    assert [(p.reason, p.last) for p in found.passed] == [
        ("no daemon was running", at(496)),
        (EXPIRED, at(499)),
    ]
    assert found.served == (at(500),)


@given(
    st.integers(1, 40),
    st.floats(0, 900),
    st.sampled_from(["skip", "once", "all"]),
    st.none() | st.integers(1, 500),
    st.none() | st.integers(1, 500),
    st.integers(1, 50),
)
def test_the_answer_has_neither_gap_nor_overlap(
    count: int,
    late_s: float,
    on_missed: str,
    within_s: int | None,
    expires_s: int | None,
    limit: int,
) -> None:
    found = fates(
        1,
        count,
        late_s=late_s,
        on_missed=on_missed,
        within_us=within_s and within_s * SECOND,
        expires_us=expires_s and expires_s * SECOND,
        limit=limit,
    )

    covered = [n for _, first, last in told(found) for n in range(first, last + 1)]
    assert covered == list(range(1, count + 1))
