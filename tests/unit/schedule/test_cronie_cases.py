"""What cronie's own parser made of lines: its sets and day rule are ours, or we refuse and say why.

The cases were made with cronie itself. Those about ``%``, users and options belong to the importer.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.schedule import Dialect, ScheduleError, parse_schedule
from jobctl.schedule.days import finder_of
from jobctl.schedule.grammar import CrontabRule, parse_crontab_text

CASES = Path(__file__).parents[2] / "data" / "schedule" / "cronie_cases.jsonl"
TIME_REASONS = {
    "bad minute", "bad hour", "bad day-of-month", "bad month", "bad day-of-week",
    "bad time specifier",
}  # fmt: skip

# Ours is the wider grammar: cronie takes none of these.
OURS_ONLY = {"0 0 L * *", "0 0 15W * *", "H H * * *"}

# cronie takes these and they never run, or run at times that nobody wrote.
REFUSED = {
    "0 0 * * sat-mon": "sat,sun,mon",
    "5-0 * * * *": "5-59,0",
    "0 0 * 11-2 *": "nov,dec,jan,feb",
    "0 0 31 2 *": "L",
    "0 0 30 2 *": "L",
}


def cases(*verdicts: str) -> list[Any]:
    found = []
    for line in CASES.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if case["mode"] == "percent" or case.get("verdict") not in verdicts:
            continue
        if case["verdict"] == "reject" and case["reason"] not in TIME_REASONS:
            continue
        if case["line"].startswith("FOO="):
            continue  # a broken environment line: the importer's
        found.append(pytest.param(case, id=case["line"][:40]))
    return found


def time_part(line: str) -> str:
    """What stands before the command, without cronie's mark for less logging."""
    plain = line.lstrip().removeprefix("-")
    fields = plain.split()
    return fields[0] if plain.startswith("@") else " ".join(fields[:5])


def parse(text: str) -> CrontabRule:
    return parse_crontab_text(text, dialect=Dialect.CRONIE)


@pytest.mark.parametrize("case", cases("entry"))
def test_entry_has_the_sets_of_cronie(case: dict[str, Any]) -> None:
    text = time_part(case["line"])
    if text in REFUSED:
        with pytest.raises(ScheduleError) as refused:
            parse_schedule("crontab", text)
        assert REFUSED[text] in refused.value.hint
        return
    rule = parse(text)
    if case.get("random"):
        assert_drawn_from_the_range(text, rule)
        return
    assert list(rule.minutes) == case["minute"]
    assert list(rule.hours) == case["hour"]
    assert list(rule.days.months) == case["month"]
    assert rule.seconds == (0,)
    assert days_of(rule) == days_of_case(case)


def assert_drawn_from_the_range(text: str, rule: CrontabRule) -> None:
    wanted = {
        "~10 * * * *": [range(11)],
        "50~ * * * *": [range(50, 60)],
        "10~20,40~50 * * * *": [range(10, 21), range(40, 51)],
        "~ ~ ~ ~ ~": [range(60)],
    }[text]
    assert len(rule.minutes) == len(wanted)
    assert all(minute in allowed for minute, allowed in zip(rule.minutes, wanted, strict=True))
    assert parse(text) == rule


def test_hour_with_a_star_is_what_cronie_flags() -> None:
    for parameter in cases("entry"):
        case = parameter.values[0]
        text = time_part(case["line"])
        if text not in REFUSED and not text.startswith("@"):
            assert parse(text).is_real_time == ("HR*" in case["flags"]), text


@pytest.mark.parametrize("case", cases("reject"))
def test_rejected_line_is_refused_with_a_reason(case: dict[str, Any]) -> None:
    text = time_part(case["line"])
    if case["line"].startswith("- "):
        text = " ".join(case["line"].split()[:5])
    if text in OURS_ONLY:
        parse(text)
        return
    with pytest.raises(ScheduleError) as refused:
        parse_schedule("crontab", text)
    assert refused.value.message
    assert refused.value.hint


def test_special_cases_are_still_in_the_file() -> None:
    texts = {time_part(case.values[0]["line"]) for case in cases("entry", "reject")}
    assert texts >= OURS_ONLY
    assert set(REFUSED) <= texts


def days_of(rule: CrontabRule) -> list[date]:
    finder = finder_of(rule.days)
    return [day for day in four_years() if finder.is_match((day - date(1970, 1, 1)).days)]


def days_of_case(case: dict[str, Any]) -> list[date]:
    """By the words of crontab(5), from the sets that cronie made."""
    found = []
    for day in four_years():
        by_month = day.day in case["dom"]
        by_week = day.isoweekday() % 7 in case["dow"]
        is_both = case["day_rule"] == "and"
        if day.month in case["month"] and (
            (by_month and by_week) if is_both else (by_month or by_week)
        ):
            # A nickname has no star flags, so it is "or" of a full field and another one.
            found.append(day)
    if case["day_rule"] == "nickname":
        return [
            day for day in four_years()
            if day.day in case["dom"] and day.month in case["month"]
            and day.isoweekday() % 7 in case["dow"]
        ]  # fmt: skip
    return found


def four_years() -> list[date]:
    return [date(2024, 1, 1) + timedelta(days=number) for number in range(4 * 365 + 1)]
