"""A schedule between two moments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobctl.clock import SECOND
from jobctl.schedule import BoundedSchedule, Kind, bounded, parse_schedule
from jobctl.schedule.lints import LintCode, lints_of
from jobctl.schedule.words import words_of
from tests.support.clock import START

RULE = parse_schedule("interval", "10s", anchor_at=START)


def at(tens: float) -> int:
    return START + round(tens * 10 * SECOND)


def test_without_a_bound_it_is_the_rule_itself() -> None:
    assert bounded(RULE, start_us=None, end_us=None) is RULE


def test_both_bounds_are_included() -> None:
    rule = bounded(RULE, start_us=at(2), end_us=at(4))

    assert list(rule.between(0, at(100))) == [at(2), at(3), at(4)]


def test_it_is_of_the_kind_of_its_rule() -> None:
    rule = bounded(RULE, start_us=at(2), end_us=None)

    assert rule.kind is Kind.INTERVAL
    assert rule.normal == "10s"
    assert not rule.is_at_boot
    assert bounded(parse_schedule("crontab", "@reboot"), start_us=0, end_us=None).is_at_boot


def test_its_words_tell_the_bounds_in_its_zone() -> None:
    rule = parse_schedule("crontab", "30 2 * * *", timezone="Europe/Berlin")
    told = words_of(bounded(rule, start_us=START, end_us=START + 1))

    assert told.endswith(
        ", from 2027-01-15T09:00:00+01:00 on, until 2027-01-15T09:00:00.000001+01:00"
    )


def test_it_is_warned_of_what_its_rule_is_warned_of_and_of_its_end() -> None:
    rule = parse_schedule("crontab", "*/7 * * * *")

    def codes(end_us: int) -> list[LintCode]:
        return [
            lint.code
            for lint in lints_of(bounded(rule, start_us=None, end_us=end_us), from_at=START)
        ]

    assert codes(START + 3600 * SECOND) == [LintCode.UNEVEN_STEP]
    assert codes(START) == [LintCode.NEVER_FIRES]


MOMENTS = st.integers(-30, 60).map(lambda n: at(n / 2))


@given(st.none() | MOMENTS, st.none() | MOMENTS, MOMENTS, MOMENTS)
def test_it_has_the_instants_of_the_rule_that_lie_between(
    start: int | None, end: int | None, after: int, until: int
) -> None:
    rule = BoundedSchedule(
        normal=RULE.normal, timezone="UTC", rule=RULE, start_us=start, end_us=end
    )
    low, high = at(-40), at(60)
    expected = [
        instant
        for instant in RULE.between(low, high)
        if (start is None or start <= instant) and (end is None or instant <= end)
    ]

    following = rule.next_after(after)
    assert following == next((i for i in expected if i > after), following)
    preceding = rule.previous_before(until)
    assert preceding == next((i for i in reversed(expected) if i < until), preceding)
    assert (following is None) <= (not [i for i in expected if i > after])
    assert rule.count_between(after, until) == len([i for i in expected if after < i <= until])
