"""P7: the published table is what schedules do, and what a walk over every minute says."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tests.property.schedule.daylight_saving_page import PAGE, page
from tests.property.schedule.walker import Named, looks, walk

if TYPE_CHECKING:
    from datetime import datetime


def by_walk(zone: str, crontab: str, after: datetime, until: datetime) -> list[int]:
    seen = list(looks(ZoneInfo(zone), after, until))
    return walk(Named.of(crontab), seen, until_s=int(until.timestamp()))


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "make it again: python -m tests.property.schedule.daylight_saving_page"
    )


def test_the_page_is_what_a_walk_over_every_minute_says() -> None:
    assert page(by_walk) == page()
