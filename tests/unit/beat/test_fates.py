"""What becomes of instants that have passed: ranges passed over, then instants served."""

from __future__ import annotations

import pytest

from jobctl.beat.fates import GRACE_S, MISSED_LIMIT, Fates, fates_of
from jobctl.clock import SECOND, Moment
from jobctl.schedule import parse_schedule
from tests.support.clock import START

TEN = parse_schedule("interval", "10s", timezone="UTC", anchor_at=START)


def at(tens: int) -> Moment:
    return START + tens * 10 * SECOND


def fates(first: int, last: int, *, late_s: float, on_missed: str = "skip") -> Fates:
    now = at(last) + round(late_s * SECOND)
    return fates_of(TEN, at(first), at(last), now=now, on_missed=on_missed)


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
        on_missed="skip",
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
    found = fates(1, MISSED_LIMIT + 7, late_s=0, on_missed="all")

    assert told(found)[0] == ("missed", 1, 7)
    assert len(found.served) == MISSED_LIMIT
    assert found.passed[0].reason == f"more than {MISSED_LIMIT} at once"


def test_all_at_its_limit_misses_none() -> None:
    found = fates(1, MISSED_LIMIT, late_s=0, on_missed="all")

    assert not found.passed
    assert len(found.served) == MISSED_LIMIT
