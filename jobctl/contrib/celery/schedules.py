"""When a periodic task is due, under Celery's names; and what that is in a ``[schedules.X]`` table."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from jobctl.errors import UsageError
from jobctl.task.units import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD: Final = re.compile(r"[A-Za-z]+")


class crontab:  # noqa: N801 -- Celery's name
    """``crontab(minute=30, hour="*/2", day_of_week="mon-fri")``: days by both fields, as Celery joins them.

    Each field is a number, text, or several of them.
    """

    def __init__(
        self,
        minute: str | int | Iterable[str | int] = "*",
        hour: str | int | Iterable[str | int] = "*",
        day_of_week: str | int | Iterable[str | int] = "*",
        day_of_month: str | int | Iterable[str | int] = "*",
        month_of_year: str | int | Iterable[str | int] = "*",
    ) -> None:
        fields = (minute, hour, day_of_month, month_of_year, day_of_week)
        self.text = " ".join(map(_field, fields))

    def table(self) -> dict[str, Any]:
        """Keys of a ``[schedules.X]`` table."""
        return {"cron": self.text, "dialect": "celery"}

    def __repr__(self) -> str:
        return f"<crontab: {self.text}>"


def _field(value: str | int | Iterable[str | int]) -> str:
    text = str(value) if isinstance(value, (str, int)) else ",".join(map(str, value))
    # Celery takes whole names of days and months, and looks at three letters.
    return _WORD.sub(lambda found: found[0][:3].lower(), text.replace(" ", ""))


class schedule:  # noqa: N801 -- Celery's name
    """``schedule(run_every=timedelta(minutes=5))``, or with a number of seconds."""

    def __init__(self, run_every: float | timedelta) -> None:
        self.run_every = (
            run_every if isinstance(run_every, timedelta) else timedelta(seconds=run_every)
        )

    def table(self) -> dict[str, Any]:
        """Keys of a ``[schedules.X]`` table."""
        return {"every": self.run_every.total_seconds()}

    def __repr__(self) -> str:
        return f"<freq: {self.run_every}>"


class solar:  # noqa: N801 -- Celery's name
    """``solar("sunset", latitude, longitude)``."""

    def __init__(self, event: str, lat: float, lon: float) -> None:
        self.event, self.lat, self.lon = event, lat, lon

    def table(self) -> dict[str, Any]:
        """Keys of a ``[schedules.X]`` table."""
        return {"solar": {"event": self.event, "latitude": self.lat, "longitude": self.lon}}

    def __repr__(self) -> str:
        return f"<solar: {self.event} at {self.lat}, {self.lon}>"


def table_of(when: object) -> dict[str, Any]:
    """Keys of a ``[schedules.X]`` table for what an entry's ``schedule`` may be. Raises UsageError."""
    if isinstance(when, (crontab, schedule, solar)):
        return when.table()
    if isinstance(when, timedelta) or (isinstance(when, (int, float)) and type(when) is not bool):
        return schedule(when).table()
    raise UsageError(
        f"{shown(when)} is not a schedule",
        hint="Give seconds, a timedelta, crontab(…), schedule(…) or solar(…) of jobctl.contrib.celery.",
    )
