"""The next instants of rules that many schedules have in common."""

from __future__ import annotations

from jobctl.beat.following import Following
from jobctl.clock import SECOND
from jobctl.schedule import IntervalSchedule, parse_schedule
from tests.support.clock import START


def test_it_says_what_the_rule_says() -> None:
    following = Following()
    rules = [parse_schedule("crontab", text) for text in ("* * * * *", "0 2 * * *", "0 0 1 1 *")]
    rules.append(parse_schedule("clocked", "2001-01-01"))
    for moment in (START, START + 1, START + 90 * SECOND):
        for rule in (*rules, *rules):
            assert following(rule, moment) == rule.next_after(moment)


def test_all_who_ask_are_given_one_number_until_it_is_forgotten() -> None:
    rule = parse_schedule("crontab", "* * * * *")
    following = Following()

    first = following(rule, START)
    assert following(rule, START) is first

    following.forget()
    again = following(rule, START)
    assert again == first
    assert again is not first


def test_a_rule_that_takes_the_place_of_another_is_asked_itself() -> None:
    """Objects come and go, and a new one may have the id of one that is gone."""
    following = Following()
    for anchor in range(100):
        rule = IntervalSchedule(
            normal="1m", timezone="UTC", every_us=60 * SECOND, anchor_at=START + anchor
        )
        assert following(rule, START + 50) == rule.next_after(START + 50)
