"""Schedules: pure rules that give instants.

`parse_schedule` makes one from its text; a `Schedule` answers which instants come after, before and
between moments. Nothing here reads a clock, and nothing here knows what becomes of an instant.
`jobctl.schedule.explain` says in words what a schedule means and warns about what it may not.
"""

from jobctl.schedule.base import Kind, Schedule, ScheduleError
from jobctl.schedule.bounded import BoundedSchedule, bounded
from jobctl.schedule.clocked import moment_of
from jobctl.schedule.fields import Dialect
from jobctl.schedule.interval import IntervalSchedule
from jobctl.schedule.parse import kind_of, parse_schedule
from jobctl.schedule.zone import are_zones_stale, reread_zones, zone_named, zone_readings

__all__ = [
    "BoundedSchedule",
    "Dialect",
    "IntervalSchedule",
    "Kind",
    "Schedule",
    "ScheduleError",
    "are_zones_stale",
    "bounded",
    "kind_of",
    "moment_of",
    "parse_schedule",
    "reread_zones",
    "zone_named",
    "zone_readings",
]
