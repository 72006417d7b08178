"""Every field text against plain arithmetic, and the corpus of real crontabs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobctl.schedule import Dialect, ScheduleError, parse_schedule
from jobctl.schedule.days import finder_of
from jobctl.schedule.grammar import parse_crontab_text
from tests.property.schedule.walker import Named, is_day_named

CORPUS = Path(__file__).parents[2] / "data" / "schedule" / "crontab_corpus.tsv"


@pytest.mark.parametrize(
    ("position", "low", "high"),
    [(0, 0, 59), (1, 0, 23), (2, 1, 31), (3, 1, 12), (4, 0, 7), (5, 0, 59)],
)
def test_every_range_and_step_is_the_arithmetic_one(position: int, low: int, high: int) -> None:
    for first in range(low, high + 1):
        for last in range(first, high + 1, 1 if high < 30 else 7):
            for step in (1, 2, 3, 5, 7, 10, 24, 30, 61):
                fields = ["0", "0", "*", "*", "*", "0"]
                fields[position] = f"{first}-{last}/{step}"
                rule = parse_crontab_text(" ".join(fields), dialect=Dialect.CELERY)
                found = (
                    rule.minutes, rule.hours, rule.days.days, rule.days.months,
                    rule.days.weekdays, rule.seconds,
                )[position]  # fmt: skip
                wanted = {
                    value % 7 if position == 4 else value for value in range(first, last + 1, step)
                }
                assert set(found) == wanted, fields
                assert list(found) == sorted(found)


def corpus() -> list[str]:
    lines = CORPUS.read_text(encoding="utf-8").splitlines()[1:]
    return list(dict.fromkeys(line.split("\t")[0] for line in lines))


# What real files hold and cron never ran, with what we say about it.
REFUSED = {
    "0 30 * * *": 'Minute and hour swapped? "30 0 * * *"',
    "* * * * * * *": 'Write "* * * * * *".',  # supercronic: seconds first, years last
    "* * * * * Mon-Fri": "The sixth field is seconds: is there a field too many?",
}


def test_corpus_means_what_its_words_say() -> None:
    texts = corpus()
    assert len(texts) > 100
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for text in texts:
        if text in REFUSED or text.startswith("@"):
            continue
        rule = parse_crontab_text(text, dialect=Dialect.CRONIE)
        named = Named.of(text)
        assert (frozenset(rule.minutes), frozenset(rule.hours)) == (named.minute, named.hour), text
        finder = finder_of(rule.days)
        for number in range(800):
            day = start + timedelta(days=number)
            wanted = is_day_named(text, day.date(), False)
            assert finder.is_match(int(day.timestamp()) // 86_400) == wanted, (text, day)


def test_corpus_lines_that_never_ran_are_refused_with_a_way_out() -> None:
    assert set(REFUSED) < set(corpus())
    for text, hint in REFUSED.items():
        with pytest.raises(ScheduleError) as refused:
            parse_schedule("crontab", text)
        assert refused.value.hint == hint


def test_corpus_runs_in_a_zone() -> None:
    after = int(datetime(2026, 3, 28, tzinfo=UTC).timestamp()) * 10**6
    for text in corpus():
        if text in REFUSED:
            continue
        schedule = parse_schedule("crontab", text, timezone="Europe/Berlin")
        assert schedule.is_at_boot or schedule.next_after(after) is not None
