"""Fields written back as text: the normal form of a crontab."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from jobctl.schedule.fields import DAY_OF_MONTH, DAY_OF_WEEK, MONTH, Dialect, Field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobctl.schedule.days import DayRule


def normal_days(rule: DayRule, dialect: Dialect) -> tuple[str, str, str]:
    """Day of month, month and day of week, with a star in front where the meaning needs it."""
    # Only where both fields leave something out does a star in front change the meaning.
    needs_star = (
        rule.is_both
        and dialect is Dialect.CRONIE
        and not rule.is_every_day_of_month
        and not rule.is_every_weekday
    )
    may_have_star = rule.is_both
    markers = (
        *("L" if before == 0 else f"L-{before}" for before in rule.from_last),
        *("LW" if near == 0 else f"{near}W" for near in rule.near),
    )
    week_markers = (
        *(f"{weekday}#{count}" for weekday, count in rule.nth),
        *(f"{weekday}L" for weekday in rule.last),
    )
    day_star = needs_star and 1 in rule.days
    day = normal_text(
        DAY_OF_MONTH, rule.days, has_star=may_have_star, needs_star=day_star, markers=markers
    )
    weekday = normal_text(
        DAY_OF_WEEK,
        rule.weekdays,
        has_star=may_have_star,
        needs_star=needs_star and not day_star,
        markers=week_markers,
    )
    return day, normal_text(MONTH, rule.months, has_star=True), weekday


@lru_cache(maxsize=16_384)
def normal_text(
    field: Field,
    values: tuple[int, ...],
    *,
    has_star: bool,
    needs_star: bool = False,
    markers: tuple[str, ...] = (),
) -> str:
    """The shortest plain text of a set. A star is written only where it is allowed or needed."""
    if has_star and not markers:
        if values == field.values:
            return "*"
        step = values[1] - values[0] if len(values) > 1 else 0
        even = len(field.values) % step == 0 if step else False
        if step > 1 and (even or needs_star) and values == field.values[::step]:
            return f"*/{step}"
    items = []
    if needs_star:
        # A step as wide as the field leaves its first value, with a star in front.
        items.append(f"*/{len(field.values)}")
        values = tuple(value for value in values if value != field.low)
    items.extend(_texts(values))
    return ",".join([*items, *markers])


def runs(values: Iterable[int]) -> list[list[int]]:
    """Rising numbers in runs of neighbours: 1, 2, 3, 7 are [1, 2, 3] and [7]."""
    found: list[list[int]] = []
    for value in values:
        if found and value == found[-1][-1] + 1:
            found[-1].append(value)
        else:
            found.append([value])
    return found


def _texts(values: tuple[int, ...]) -> list[str]:
    texts = []
    for run in runs(values):
        if len(run) > 2:
            texts.append(f"{run[0]}-{run[-1]}")
        else:
            texts.extend(str(value) for value in run)
    return texts
