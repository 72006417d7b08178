"""How fast jobs may start: spread evenly, in bursts, after a pause, after the clock was set."""

from __future__ import annotations

import pytest

from jobctl.clock import SECOND
from jobctl.dispatcher.pace import Pace, pace_of
from jobctl.task.units import parse_rate
from tests.support.clock import START


@pytest.mark.parametrize(
    ("rate", "burst", "spacing", "most"),
    [
        ("10/s", None, SECOND // 10, 1),
        ("5/m", None, 12 * SECOND, 1),
        ("1/h", None, 3600 * SECOND, 1),
        ("3/10s", None, 3_333_333, 1),
        ("1000/s", None, 1000, 100),
        ("30/m", 30, 2 * SECOND, 30),
    ],
)
def test_a_rate_is_a_spacing_and_a_burst(
    rate: str, burst: int | None, spacing: int, most: int
) -> None:
    assert pace_of(parse_rate(rate), burst) == Pace(spacing, most)


def test_after_a_pause_a_burst_may_start_and_then_one_each_spacing() -> None:
    pace = Pace(spacing=SECOND, burst=3)
    used = pace.settle(0, START)
    assert pace.allowed(used, START) == 3

    used = pace.advance(used, 3)
    assert pace.allowed(used, START) == 0
    assert pace.next_at(used) == START + SECOND
    assert pace.allowed(pace.settle(used, START + SECOND - 1), START + SECOND - 1) == 0
    assert pace.allowed(pace.settle(used, START + SECOND), START + SECOND) == 1
    assert pace.allowed(pace.settle(used, START + 9 * SECOND), START + 9 * SECOND) == 3


def test_a_clock_that_is_set_back_blocks_no_longer_than_a_full_burst_does() -> None:
    pace = Pace(spacing=SECOND, burst=2)
    early = START - 3600 * SECOND

    used = pace.settle(START + SECOND, early)

    assert pace.next_at(used) == early + SECOND
