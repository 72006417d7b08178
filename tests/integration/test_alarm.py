"""The daemon wakes at moments of the wall clock, by a timer of the kernel that notices a set clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.clock import SECOND, SystemClock
from jobctl.daemon.alarm import Alarm
from jobctl.daemon.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.daemon import Daemon

CLOCK = SystemClock()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop(CLOCK)
    yield made
    made.close()


def turns_until(loop: Loop, alarm: Alarm, moment: int, *, sets: int) -> list[int]:
    """When the turns came that the alarm called for."""
    came: list[int] = []

    def turn() -> None:
        came.append(CLOCK.now())
        if came[-1] >= moment or len(came) == sets:
            loop.end()
        else:
            alarm.set(moment)

    loop.run(turn)
    return came[1:]


def test_it_rings_at_its_moment_and_not_before(loop: Loop) -> None:
    alarm = Alarm(loop)
    moment = CLOCK.now() + SECOND // 20

    (rang,) = turns_until(loop, alarm, moment, sets=3)

    assert rang >= moment
    alarm.close()


@pytest.mark.parametrize("moment", [0, 1, -5 * SECOND])
def test_a_moment_that_has_passed_rings_at_once(loop: Loop, moment: int) -> None:
    alarm = Alarm(loop)
    alarm.set(moment)
    turns = []

    def turn() -> float | None:
        turns.append(1)
        if len(turns) == 2:
            loop.end()
        return None

    loop.run(turn)

    assert len(turns) == 2
    alarm.close()


def test_it_can_be_taken_back(loop: Loop) -> None:
    alarm = Alarm(loop)
    alarm.set(CLOCK.now() + SECOND // 50)
    alarm.set(None)
    turns: list[float] = []

    def turn() -> float | None:
        turns.append(CLOCK.monotonic())
        if len(turns) == 2:
            loop.end()
        return turns[0] + 0.1

    loop.run(turn)

    # The second turn came by the loop's own deadline.
    assert turns[1] - turns[0] >= 0.1
    alarm.close()


def test_the_daemons_timer_counts_wall_time_and_notices_a_set_clock(daemon: Daemon) -> None:
    """What the kernel says about it; setting the clock of a machine is not for a test."""
    daemon.submit(command=["/bin/true"], cwd="/", delay_s=3600.0)

    # It is set at the end of the turn, after the answer has been sent.
    facts = daemon.until("the timer to be set", lambda: _set_timer(daemon))

    assert facts["clockid"].strip() == "0"
    assert facts["settime flags"].strip() == "03"


def _set_timer(daemon: Daemon) -> dict[str, str]:
    """What the kernel says of the daemon's one timer; nothing while it is not set."""
    (timer,) = [
        (Path(f"/proc/{daemon.pid}/fdinfo") / fd.name).read_text()
        for fd in Path(f"/proc/{daemon.pid}/fd").iterdir()
        if str(fd.readlink()) == "anon_inode:[timerfd]"
    ]
    facts = dict(line.split(": ", 1) for line in timer.splitlines() if ": " in line)
    return facts if facts["it_value"].strip() != "(0, 0)" else {}
