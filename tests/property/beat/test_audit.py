"""The audit agrees to rows that were made from the rules, however they are cut, and to nothing else."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import assume, given
from hypothesis import strategies as st

from jobctl.beat.audit import Audit, Epoch, FireRow, Known, Violation
from jobctl.clock import SECOND
from jobctl.schedule import parse_schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobctl.schedule import Schedule

T0 = 1_774_742_400 * SECOND
"""2026-03-29 00:00:00 UTC: an hour before the clocks of Berlin are put forward."""

RULES = [
    parse_schedule("interval", "90s", anchor_at=T0 + 7),
    parse_schedule("interval", "1h", anchor_at=T0 + 1),
    parse_schedule("crontab", "*/7 * * * *", timezone="Europe/Berlin"),
    parse_schedule("crontab", "*/30 1-3 * * * 0,30", timezone="Europe/Berlin"),
    parse_schedule("clocked", "2026-03-29T02:30", timezone="Europe/Berlin"),
]

moments = st.integers(0, 6 * 3600 * SECOND)


def rows_of(
    number: int, rule: Schedule, after: int, until: int, draw: Callable[..., Any]
) -> list[FireRow]:
    """The instants of (after, until], cut into rows at drawn places."""
    rows = []
    instants = list(rule.between(after, until))
    while instants:
        length = draw(st.integers(1, min(5, len(instants))))
        held, instants = instants[:length], instants[length:]
        rows.append(FireRow(rule=number, first=held[0], last=held[-1], count=length))
    return rows


@st.composite
def histories(draw: Callable[..., Any]) -> tuple[Known, list[FireRow]]:
    """A schedule with up to three rules, and whole rows for it."""
    bounds = sorted(T0 + moment for moment in draw(st.sets(moments, min_size=2, max_size=5)))
    epochs: list[Epoch] = []
    rows: list[FireRow] = []
    for place, (begins, ends) in enumerate(itertools.pairwise(bounds)):
        is_last = place == len(bounds) - 2
        if not is_last and draw(st.booleans()):
            continue  # removed meanwhile
        rule = RULES[draw(st.integers(0, len(RULES) - 1))]
        number = len(epochs) + 1
        ends_at = None if is_last else ends
        epochs.append(Epoch(number=number, begins_at=begins, ends_at=ends_at, rule=rule))
        rows += rows_of(number, rule, begins, ends, draw)
    rows = [
        replace(row, job_id=number, job_schedule=1) if row.count == 1 and number % 2 else row
        for number, row in enumerate(rows)
    ]
    created_at = epochs[0].begins_at
    return Known(epochs=epochs, created_at=created_at, watermark=bounds[-1]), rows


def judged(known: Known, rows: list[FireRow], page: int) -> list[Violation]:
    audit = Audit(schedule=1)
    found = []
    for place in range(0, len(rows) + 1, page):
        some = rows[place : place + page]
        found += [one for one in audit.take(known, some, is_end=len(some) < page) if one]
    return found


@given(histories(), st.integers(1, 7))
def test_whole_rows_are_agreed_to(history: tuple[Known, list[FireRow]], page: int) -> None:
    known, rows = history

    assert judged(known, rows, page) == []


def broken(rows: list[FireRow], place: int, how: str) -> list[FireRow]:
    row = rows[place]
    before, after = rows[:place], rows[place + 1 :]
    match how:
        case "lost":
            return [*before, *after]
        case "twice":
            return [*before, row, row, *after]
        case "moved":
            return [*before, replace(row, first=row.first + 1, last=row.last + 1), *after]
        case "more":
            return [*before, replace(row, count=row.count + 1), *after]
        case "longer":
            return [*before, replace(row, last=row.last + 1), *after]
        case "no job":
            return [
                *before,
                replace(row, job_id=10_000 + place, job_schedule=None, is_job_gone=True),
                *after,
            ]
        case _:
            return [*before, replace(row, job_id=10_000 + place, job_schedule=2), *after]


HOWS = ("lost", "twice", "moved", "more", "longer", "no job", "other job")


@given(histories(), st.sampled_from(HOWS), st.integers(0), st.integers(1, 7))
def test_one_broken_row_is_found(
    history: tuple[Known, list[FireRow]], how: str, where: int, page: int
) -> None:
    known, rows = history
    assume(rows)

    assert judged(known, broken(rows, where % len(rows), how), page)


@given(histories(), st.integers(1, 6 * 3600 * SECOND))
def test_a_watermark_that_ran_ahead_is_found(
    history: tuple[Known, list[FireRow]], ahead: int
) -> None:
    known, rows = history
    until = known.watermark + ahead
    rule = known.epochs[-1].rule
    assert rule is not None

    found = judged(replace(known, watermark=until), rows, 3)

    assert sum(violation.count for violation in found) == rule.count_between(known.watermark, until)


@given(histories())
def test_a_watermark_that_stayed_behind_is_found(history: tuple[Known, list[FireRow]]) -> None:
    known, rows = history
    assume(rows and rows[-1].rule == known.epochs[-1].number)

    assert judged(replace(known, watermark=rows[-1].last - 1), rows, 3)
