"""Spans between the instants of an interval. How they are read is `jobctl.task.units`'s business."""

from __future__ import annotations

from jobctl.schedule.base import ScheduleError
from jobctl.task.units import SPAN_UNITS, InvalidValue, parse_span_us


def parse_span(text: str) -> int:
    """A span in microseconds, more than zero. Raises ScheduleError."""
    try:
        span_us = parse_span_us(text)
    except InvalidValue as invalid:
        raise ScheduleError(invalid.message, invalid.hint) from None
    if span_us == 0:
        raise ScheduleError(f'"{text}" is no time at all', 'Write a span such as "30s" or "1h30m".')
    return span_us


def span_text(span_us: int) -> str:
    """The normal form of a span: ``1w2d``, ``1h30m``, ``0.5s``. It parses back to the same span."""
    parts = []
    left = span_us
    for unit in ("w", "d", "h", "m"):
        count, left = divmod(left, SPAN_UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if left or not parts:
        seconds, fraction = divmod(left, SPAN_UNITS["s"])
        parts.append(f"{seconds}.{fraction:06}".rstrip("0").rstrip(".") + "s")
    return "".join(parts)
