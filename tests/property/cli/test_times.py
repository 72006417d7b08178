"""Moments as text: what is shown can be read back, in every kind of zone."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from jobctl.cli import times
from jobctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND = 1_000_000
ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Asia/Kolkata",
    ]
)
MOMENTS = st.integers(0, 4_102_444_800 * SECOND)


def _last_sunday(year: int) -> datetime:
    last = datetime(year, 10, 31, 0, 30, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)


NEAR_CHANGES = st.builds(
    # Half past midnight, the last Sunday of October: Berlin's clocks are put back within the hour.
    lambda year, minutes: (
        int((_last_sunday(year) + timedelta(minutes=minutes)).timestamp()) * SECOND
    ),
    st.integers(2000, 2037),
    st.integers(-120, 180),
)


@contextmanager
def host_in(zone: str) -> Iterator[None]:
    """This process believes that its host stands in a zone."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        try:
            yield
        finally:
            patched.undo()
            time.tzset()


@given(ZONES, st.one_of(MOMENTS, NEAR_CHANGES))
def test_the_text_of_a_moment_names_that_moment(zone: str, moment: int) -> None:
    with host_in(zone):
        read = datetime.fromisoformat(times.iso(moment))

    assert (read - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == moment


@given(ZONES, st.one_of(MOMENTS, NEAR_CHANGES))
@example("Europe/Berlin", int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()) * SECOND)
@example("Europe/Berlin", int(datetime(2026, 10, 25, 1, 30, tzinfo=UTC).timestamp()) * SECOND)
@example("Australia/Lord_Howe", int(datetime(2026, 4, 4, 14, 45, tzinfo=UTC).timestamp()) * SECOND)
@example("America/St_Johns", int(datetime(2026, 11, 1, 4, 0, tzinfo=UTC).timestamp()) * SECOND)
def test_local_time_is_read_back_or_refused_because_it_happens_twice(
    zone: str, moment: int
) -> None:
    with host_in(zone):
        text = times.shown(moment)
        # Another moment less than a few hours away that is shown in the same way.
        others = (moment + minutes * 60 * SECOND for minutes in range(-180, 181, 30) if minutes)
        if text in {times.shown(other) for other in others}:
            event("twice")
            with pytest.raises(UsageError, match="happens twice"):
                times.parse_moment(text, option="--at", now_us=0)
            return
        read = times.parse_moment(text, option="--at", now_us=0)

    assert read == moment // SECOND * SECOND


@given(st.floats(0, 1e9))
def test_a_span_is_shown_in_few_letters(seconds: float) -> None:
    assert 2 <= len(times.span_shown(seconds)) <= 9
