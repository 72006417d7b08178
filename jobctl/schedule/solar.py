"""An event of the sun at a place on earth.

The nine events are Celery's. The sun's position comes from astral (the extra ``solar``); the time
of an event is worked out here for each *solar day* of the place, the day from one solar midnight to
the next. astral's own functions give events of a calendar day in UTC, and where an event drifts
over midnight UTC a calendar day has none or two of it, so that one would be lost.

On polar days and nights an event does not happen; such days have no instant. A place where it does
not happen within two years gives None.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import ClassVar

from jobctl.clock import SECOND
from jobctl.schedule.base import Kind, Schedule, ScheduleError
from jobctl.schedule.zone import DAY_S, FIRST_S, LAST_S, zone_named
from jobctl.task.keys import nearest
from jobctl.values import dataclass

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_SEARCH_DAYS = 2 * 366
_COMPACT = re.compile(
    r"(?P<event>[a-z_]+)[\s@]+(?P<latitude>[+-]?[0-9]+(?:\.[0-9]*)?)(?:\s*,\s*|\s+)"
    r"(?P<longitude>[+-]?[0-9]+(?:\.[0-9]*)?)"
)
_HINT = 'Write "sunset 52.52 13.40" or {"event": "sunset", "latitude": 52.52, "longitude": 13.4}.'

# Beyond this the sun's hour angle has no useful meaning; astral draws the same line.
_POLE = 89.8


class SolarEvent(StrEnum):
    """What happens in the sky, in the order of a day."""

    DAWN_ASTRONOMICAL = "dawn_astronomical"
    """The sun rises through 18 degrees below the horizon."""
    DAWN_NAUTICAL = "dawn_nautical"
    """The sun rises through 12 degrees below the horizon."""
    DAWN_CIVIL = "dawn_civil"
    """The sun rises through 6 degrees below the horizon."""
    SUNRISE = "sunrise"
    """The upper edge of the sun appears."""
    SOLAR_NOON = "solar_noon"
    """The sun stands highest."""
    SUNSET = "sunset"
    """The upper edge of the sun disappears."""
    DUSK_CIVIL = "dusk_civil"
    """The sun sinks through 6 degrees below the horizon."""
    DUSK_NAUTICAL = "dusk_nautical"
    """The sun sinks through 12 degrees below the horizon."""
    DUSK_ASTRONOMICAL = "dusk_astronomical"
    """The sun sinks through 18 degrees below the horizon."""


# Degrees below the horizon of the sun's middle; at sunrise and sunset half of the sun's width.
_SUN_RADIUS = 0.267
_DEPRESSION = {
    SolarEvent.DAWN_ASTRONOMICAL: 18.0,
    SolarEvent.DAWN_NAUTICAL: 12.0,
    SolarEvent.DAWN_CIVIL: 6.0,
    SolarEvent.SUNRISE: _SUN_RADIUS,
    SolarEvent.SUNSET: _SUN_RADIUS,
    SolarEvent.DUSK_CIVIL: 6.0,
    SolarEvent.DUSK_NAUTICAL: 12.0,
    SolarEvent.DUSK_ASTRONOMICAL: 18.0,
}
_RISING = frozenset({
    SolarEvent.DAWN_ASTRONOMICAL, SolarEvent.DAWN_NAUTICAL, SolarEvent.DAWN_CIVIL,
    SolarEvent.SUNRISE,
})  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class SolarSchedule(Schedule):
    """See the module. Degrees: north and east are positive."""

    kind: ClassVar[Kind] = Kind.SOLAR

    event: SolarEvent
    latitude: float
    longitude: float

    def next_after(self, moment_us: int) -> int | None:
        """The first event strictly after the moment, in whole seconds; None when none comes."""
        return self._search(moment_us, step=1)

    def previous_before(self, moment_us: int) -> int | None:
        """The last event strictly before the moment; None when there was none for two years."""
        return self._search(moment_us, step=-1)

    def count_between(self, after_us: int, until_us: int) -> int:
        """How many events lie in (after, until]. Works each of them out."""
        return sum(1 for _ in self.between(after_us, until_us))

    def _search(self, moment_us: int, *, step: int) -> int | None:
        moment_s = moment_us // SECOND
        if not FIRST_S < moment_s < LAST_S:
            return None
        # The event of a solar day lies within a day and a half of its date in UTC.
        day = moment_s // DAY_S - 2 * step
        for _ in range(_SEARCH_DAYS):
            event_s = _event(self.event, self.latitude, self.longitude, day)
            if event_s is not None and step * (event_s * SECOND - moment_us) > 0:
                return event_s * SECOND
            day += step
        return None


def parse_solar(expression: str, *, timezone: str) -> SolarSchedule:
    """An event from ``sunset 52.52 13.40`` or from a JSON object. Raises ScheduleError.

    Also when astral is not installed: that is told now, not when the first event is due.
    """
    event, latitude, longitude = _read(expression)
    zone_named(timezone)
    try:
        import astral.sun  # noqa: F401
    except ImportError:
        raise ScheduleError(
            "solar schedules need the package astral",
            'Install it with the extra: pip install "jobctl[solar]".',
        ) from None
    return SolarSchedule(
        normal=f"{event} {_degrees(latitude)} {_degrees(longitude)}",
        timezone=timezone,
        event=event,
        latitude=latitude,
        longitude=longitude,
    )


def _degrees(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _read(expression: str) -> tuple[SolarEvent, float, float]:
    plain = expression.strip()
    if plain.startswith("{"):
        return _read_json(plain)
    compact = _COMPACT.fullmatch(plain)
    if compact is None:
        raise ScheduleError(f'"{expression}" does not name an event and a place', _HINT)
    return (
        _named_event(compact["event"]),
        _in_range("latitude", float(compact["latitude"]), 90),
        _in_range("longitude", float(compact["longitude"]), 180),
    )


def _read_json(text: str) -> tuple[SolarEvent, float, float]:
    try:
        given = json.loads(text)
    except ValueError as error:
        raise ScheduleError(f"solar schedule: not JSON: {error}", _HINT) from None
    if not isinstance(given, dict) or set(given) != {"event", "latitude", "longitude"}:
        raise ScheduleError(
            "solar schedule: the keys must be event, latitude and longitude, and no others", _HINT
        )
    return (
        _named_event(given["event"]),
        _in_range("latitude", given["latitude"], 90),
        _in_range("longitude", given["longitude"], 180),
    )


def _named_event(name: object) -> SolarEvent:
    try:
        return SolarEvent(str(name))
    except ValueError:
        near = nearest(str(name).casefold(), list(SolarEvent))
        hint = f'Did you mean "{near}"?' if near else "Events: " + ", ".join(SolarEvent) + "."
        raise ScheduleError(f'unknown solar event "{name}"', hint) from None


def _in_range(name: str, value: object, limit: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScheduleError(f"{name}: {value!r} is not a number of degrees", _HINT)
    if not -limit <= value <= limit:
        raise ScheduleError(f"{name}: {value} is out of range -{limit} to {limit}", _HINT)
    # Rounded to what the normal form shows (a tenth of a metre), so that it gives the same rule.
    return round(float(value), 6)


@lru_cache(maxsize=8192)
def _event(event: SolarEvent, latitude: float, longitude: float, day: int) -> int | None:
    """The event of one solar day in whole seconds; None when the sun does not do it that day.

    The method is the one of NOAA's solar calculator, with the sun's position taken at the event
    itself, found by repeating.
    """
    from astral import SunDirection, julian, refraction_at_zenith, sun

    try:
        noon = date.fromordinal(day + _EPOCH_DAY)
    except (ValueError, OverflowError):
        return None
    julian_day = julian.julianday(noon)
    north = max(-_POLE, min(_POLE, latitude))
    direction = SunDirection.RISING if event in _RISING else SunDirection.SETTING
    zenith = 90.0 + _DEPRESSION.get(event, 0.0)
    if event in {SolarEvent.SUNRISE, SolarEvent.SUNSET}:
        # The air lifts what is at the horizon; the twilights are defined without it.
        zenith += refraction_at_zenith(zenith)
    minutes = 720.0 - 4.0 * longitude
    for _ in range(4):
        century = julian.julianday_to_juliancentury(julian_day + minutes / 1440.0)
        hour_angle = 0.0
        if event is not SolarEvent.SOLAR_NOON:
            try:
                angle = sun.hour_angle(north, sun.sun_declination(century), zenith, direction)
            except ValueError:
                return None
            hour_angle = math.degrees(angle)
        minutes = 720.0 - 4.0 * (longitude + hour_angle) - sun.eq_of_time(century)
    moment = datetime(noon.year, noon.month, noon.day, tzinfo=UTC) + timedelta(minutes=minutes)
    return round(moment.timestamp())
