"""Makes `docs/reference/daylight-saving.md`: ``python -m tests.property.schedule.daylight_saving_page``.

All changes on the page are past, so that no parliament changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from jobctl.schedule import parse_schedule
from tests.property.schedule.walker import changes, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "daylight-saving.md"

# Zone, about when, what is remarkable.
CHANGES = (
    ("Europe/Berlin", utc(2025, 3, 30), "an hour skipped"),
    ("Europe/Berlin", utc(2025, 10, 26), "an hour repeated"),
    ("America/New_York", utc(2025, 3, 9), "an hour skipped"),
    ("America/New_York", utc(2025, 11, 2), "an hour repeated"),
    ("Australia/Lord_Howe", utc(2024, 10, 5), "half an hour skipped"),
    ("Australia/Lord_Howe", utc(2025, 4, 5), "half an hour repeated"),
    ("Antarctica/Troll", utc(2025, 3, 30), "two hours skipped"),
    ("Antarctica/Troll", utc(2025, 10, 26), "two hours repeated"),
    ("America/Sao_Paulo", utc(2018, 11, 4), "midnight skipped"),
    ("America/Sao_Paulo", utc(2018, 2, 18), "the hour before midnight repeated"),
    ("America/St_Johns", utc(2010, 3, 14), "skipped from 00:01 on"),
    ("America/St_Johns", utc(2010, 11, 7), "back over midnight into the day before"),
    ("Africa/Casablanca", utc(2025, 2, 23), "an hour repeated for Ramadan"),
    ("Africa/Casablanca", utc(2025, 4, 6), "an hour skipped after Ramadan"),
    ("Asia/Pyongyang", utc(2015, 8, 14), "a zone that moved back by half an hour"),
    ("America/Caracas", utc(2016, 5, 1), "a zone that moved forward by half an hour"),
    ("Pacific/Apia", utc(2011, 12, 30), "a whole day left out"),
)

NOTES = """\
# Daylight saving

<!-- Made by tests/property/schedule/daylight_saving_page.py, and compared with it by a test. -->

What a crontab does when clocks change depends on its hour field alone.

* **Fixed hours** name local times, and each of them happens once a day.
  Times that are skipped become one run at the first valid moment after the gap.
  Of times that are repeated, the first occurrence counts.
* **Hours that begin with a star** (`*`, `*/2`) follow real time.
  Both passes of a repeated hour run; an hour that is skipped has no run.

An interval looks at no clock on the wall: `every = "1h"` runs each 3600 seconds through every change.
A day that a zone leaves out is a gap like any other.
A step of the computer's clock is no daylight saving: only the zone database says when clocks change.

The cells show all runs from three hours before the change to three hours after it, in local time with
its offset from UTC.
Every zone of the database was compared with a walk over each minute around each of its changes from
2000 to 2040.

"""

CASES = (
    "a fixed time inside",
    "several fixed times inside",
    "the first time after",
    "every hour",
    "every second hour",
)


@dataclass(frozen=True)
class Row:
    """One change: the local times between which clocks jumped, and its crontabs by case."""

    zone: str
    what: str
    at: datetime
    before: datetime
    after: datetime
    crontabs: tuple[str, ...]

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The moments between which runs are shown."""
        return self.at - timedelta(hours=3), self.at + timedelta(hours=3)


def rows() -> Iterator[Row]:
    for name, about, what in CHANGES:
        zone = ZoneInfo(name)
        near = changes(zone, about - timedelta(days=1), about + timedelta(days=2))
        at = near[0]
        offset = (at - timedelta(seconds=1)).astimezone(zone).utcoffset()
        assert offset is not None
        before = at.replace(tzinfo=None) + offset
        after = at.astimezone(zone)
        wall = after.replace(tzinfo=None)
        low, high = min(before, wall), max(before, wall)
        inside = low + (high - low) / 2
        third = [low + (high - low) * part / 3 for part in range(3)]
        hours = {moment.hour for moment in third}
        minutes = ",".join(str(minute) for minute in sorted({moment.minute for moment in third}))
        yield Row(
            zone=name,
            what=what,
            at=at,
            before=before,
            after=after,
            crontabs=(
                f"{inside.minute} {inside.hour} * * *",
                f"{minutes} {','.join(str(hour) for hour in sorted(hours))} * * *",
                f"{high.minute} {high.hour} * * *",
                f"{inside.minute} * * * *",
                f"{inside.minute} */2 * * *",
            ),
        )


def by_schedule(zone: str, crontab: str, after: datetime, until: datetime) -> list[int]:
    """The runs in (after, until], in seconds."""
    schedule = parse_schedule("crontab", crontab, timezone=zone)
    since_us, until_us = (int(moment.timestamp()) * 10**6 for moment in (after, until))
    return [instant // 10**6 for instant in schedule.between(since_us, until_us)]


def page(runs_of: Callable[[str, str, datetime, datetime], list[int]] = by_schedule) -> str:
    """The whole page; ``runs_of`` answers for each cell."""
    lines = [
        "| zone and change | " + " | ".join(CASES) + " |",
        "|---" * (len(CASES) + 1) + "|",
    ]
    for row in rows():
        cells = [
            cell(crontab, runs_of(row.zone, crontab, *row.span), row) for crontab in row.crontabs
        ]
        lines.append("| " + " | ".join([title(row), *cells]) + " |")
    return NOTES + "\n".join(lines) + "\n"


def title(row: Row) -> str:
    before, after = f"{row.before:%Y-%m-%d %H:%M}", f"{row.after:%H:%M}"
    if row.before.date() != row.after.date():
        after = f"{row.after:%Y-%m-%d %H:%M}"
    return f"{row.zone}<br>{row.what}<br>{before} → {after}"


def cell(crontab: str, runs: list[int], row: Row) -> str:
    shown = []
    for run in runs:
        local = datetime.fromtimestamp(run, ZoneInfo(row.zone))
        # The day of the month only where it is another one than the change's.
        day = f"{local:%d} " if local.date() != row.after.date() else ""
        offset = f"{local:%z}"
        shown.append(f"{day}{local:%H:%M}{offset[:3]}{offset[3:].replace('00', '')}")
    return f"`{crontab}`<br>" + (", ".join(shown) or "no run")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
