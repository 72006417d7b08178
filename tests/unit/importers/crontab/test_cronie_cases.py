"""What cronie's own code made of lines, in all its modes: the importer reads the same, or says why not.

Also every schedule of the corpus of real crontabs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobctl.importers.crontab.judging import Judged, Source, judge
from jobctl.importers.crontab.kinds import Dialect, Form
from jobctl.importers.crontab.percent import cut
from jobctl.importers.crontab.programs import program_of
from jobctl.importers.crontab.reading import Broken, Entry, Variable, read_table
from jobctl.schedule import Dialect as DayRules
from jobctl.schedule.grammar import CrontabRule, parse_crontab_text

DATA = Path(__file__).parents[3] / "data" / "schedule"
CRONIE = program_of(Dialect.CRONIE)
ALL_CASES = [json.loads(line) for line in (DATA / "cronie_cases.jsonl").read_text().splitlines()]
CASES = [
    pytest.param(case, id=f"{case['mode']}: {case['line']}"[:60])
    for case in ALL_CASES
    if case["mode"] != "percent"
]
PERCENTS = [pytest.param(case, id=case["line"]) for case in ALL_CASES if case["mode"] == "percent"]

NEVER = {
    "0 0 * * sat-mon",
    "0 0 * 11-2 *",
    "0 0 31 2 *",
    "0 0 30 2 *",
    # At minutes 5 to 7, by a slip of cronie's parser.
    "5-0 * * * *",
}
"""What cronie takes and the importer calls dead: it never runs, or never as written."""


def form_of(case: dict[str, Any]) -> Form:
    return Form.SYSTEM if case["mode"] == "system" else Form.USER


def read(case: dict[str, Any]) -> Entry | Variable | Broken | None:
    data = f"{case['line']}\n".encode()
    return next(iter(read_table(data, form_of(case), CRONIE)), None)


def judged(case: dict[str, Any]) -> Judged:
    owner = {"user-root": "root", "user-nonroot": "bryan"}.get(case["mode"])
    source = Source(
        path="crontab", data=f"{case['line']}\n".encode(), form=form_of(case), owner=owner
    )
    (line,) = judge([source], CRONIE).lines
    return line


@pytest.mark.parametrize("case", CASES)
def test_a_line_is_to_the_importer_what_it_is_to_cronie(case: dict[str, Any]) -> None:
    found = read(case)
    match case["verdict"]:
        case "comment_or_blank":
            assert found is None
        case "env":
            assert isinstance(found, Variable)
            assert f"{found.name}={found.value}" == case["env"]
        case "entry":
            assert_same_entry(case, found)
        case "reject" if case["mode"] == "user-nonroot":
            # Only whose table it is makes cronie refuse it.
            line = judged(case)
            assert line.verdict == "note"
            assert "from root only" in line.remarks[0].text
        case _:
            assert case["verdict"] == "reject"
            line = judged(case)
            assert line.verdict == "dead"
            assert line.tables == ()


def assert_same_entry(case: dict[str, Any], found: object) -> None:
    assert isinstance(found, Entry)
    assert found.written == case["command"]
    assert found.user == case.get("user")
    assert found.is_quiet is ("NOLOG" in case["flags"])
    assert ("n" in found.options) is ("MAILERR" in case["flags"])
    line = judged(case)
    if found.times in NEVER:
        assert line.verdict == "dead"
        return
    assert line.verdict != "dead"
    ((_, table),) = line.tables
    rule = parse_crontab_text(table["cron"], dialect=DayRules.CRONIE)
    if case.get("random"):
        return  # what is drawn is held against its range by the tests of schedules
    assert list(rule.minutes) == case["minute"]
    assert list(rule.hours) == case["hour"]
    assert list(rule.days.months) == case["month"]
    assert days(rule) == days_of_case(case)


def days(rule: CrontabRule) -> object:
    both = rule.days
    if both.is_every_day_of_month or both.is_every_weekday:
        joined = None if both.is_both else "every"
    else:
        joined = "and" if both.is_both else "or"
    return both.days, both.weekdays, joined


def days_of_case(case: dict[str, Any]) -> object:
    by_month, by_week = tuple(case["dom"]), tuple(day for day in case["dow"] if day < 7)
    joined = "and" if case["day_rule"] == "and" else "or"
    if len(by_month) == 31 or len(by_week) == 7:
        joined = None  # type: ignore[assignment]
    return by_month, by_week, joined


@pytest.mark.parametrize("case", PERCENTS)
def test_a_percent_sign_cuts_as_in_cronie(case: dict[str, Any]) -> None:
    found = cut(case["line"])

    assert (found.command, found.input) == (case["command"], case.get("stdin"))


@pytest.mark.parametrize(
    ("text", "command", "given"),
    [
        (r"a\\\%b", r"a\\%b", None),
        (r"cmd %a\\%b", "cmd ", "a\\%b\n"),
        (r"cmd %a" + "\\", "cmd ", "a\\\n"),
        (r"cmd %a%" + "\\", "cmd ", "a\n\\"),
        (r"cmd %" + "\\\\", "cmd ", "\\\\"),
        ('bash -lc "date +%Y.%m"', 'bash -lc "date +', 'Y.\nm"\n'),
    ],
)
def test_cronies_two_loops_are_followed_where_they_differ(
    text: str, command: str, given: str | None
) -> None:
    found = cut(text)

    assert (found.command, found.input) == (command, given)


CORPUS = [
    line.split("\t")
    for line in (DATA / "crontab_corpus.tsv").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
DEAD = {"0 30 * * *", "* * * * * * *"}


@pytest.mark.parametrize(("times", "about", "place"), CORPUS, ids=range(len(CORPUS)))
def test_a_schedule_of_the_corpus_is_read(times: str, about: str, place: str) -> None:
    form = Form.SYSTEM if "system file" in about else Form.USER
    user = "root " if form is Form.SYSTEM else ""
    source = Source(path=place, data=f"{times} {user}true\n".encode(), form=form)

    (line,) = judge([source], CRONIE).lines

    if times in DEAD:
        assert line.verdict == "dead"
    elif times == "* * * * * Mon-Fri":
        assert line.verdict == "decision"
    else:
        assert line.verdict in ("clean", "note")
        ((_, table),) = line.tables
        assert table["cron"] == times
        parse_crontab_text(table["cron"], dialect=DayRules.CRONIE)
