"""How many jobs may begin by the load of the host, and why none may; reading the kernel's files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from jobctl.daemon.host_load import ProcLoad
from jobctl.dispatcher.load import SETTLE_S, LoadLimit, Seen, room_of, why_no_room

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30


def by_load(most: float, average: float | None, *ages_s: float) -> int:
    return room_of(LoadLimit("x", most, None), Seen(average, None, ages_s))


def by_memory(free: int | None, *ages_s: float) -> int:
    return room_of(LoadLimit("x", None, GIB), Seen(None, free, ages_s))


@pytest.mark.parametrize(
    ("most", "average", "room"),
    [(4, 0.0, 4), (4, 3.99, 1), (4, 4.0, 0), (0.5, 0.49, 1), (4, 90, 0)],
)
def test_jobs_begin_while_the_load_is_below_the_limit(
    most: float, average: float, room: int
) -> None:
    assert by_load(most, average) == room


def test_what_has_just_begun_counts_with_what_the_average_does_not_show_yet() -> None:
    assert by_load(4, 0.0, 0.0, 0.0, 0.0) == 1
    assert by_load(4, 0.0, 0.0, 0.0, 0.0, 0.0) == 0
    # Were they busy, the average would show 4 * (1 - 1/e) by now: the sum stays what it was.
    shown = 4 * (1 - math.exp(-1))
    assert by_load(4, shown + 0.0001, *[60.0] * 4) == 0
    # They sleep.
    assert by_load(4, 0.0, *[60.0] * 4) == 3


def test_one_job_at_a_time_begins_by_free_memory() -> None:
    assert by_memory(GIB) == 1
    assert by_memory(GIB - 1) == 0
    assert by_memory(GIB, SETTLE_S - 0.1) == 0
    assert by_memory(GIB, SETTLE_S, 1000.0) == 1


def test_nothing_begins_by_figures_that_cannot_be_read() -> None:
    assert by_load(4, None) == by_memory(None) == 0


@pytest.mark.parametrize(
    ("limit", "seen", "words"),
    [
        (LoadLimit("x", 4, None), Seen(5.5, None, ()), "load of this host is 5.50, and x starts jobs below 4"),
        (LoadLimit("x", 1, None), Seen(0, None, (0.0,)), "just begun is not in the average"),
        (LoadLimit("x", 1, None), Seen(None, None, ()), "load of this host cannot be read"),
        (LoadLimit("x", None, GIB), Seen(0, 3 << 20, ()), "3 MiB of free memory, and x starts jobs from 1GiB on"),
        (LoadLimit("x", None, GIB), Seen(0, GIB, (1.0,)), "how much memory the job takes"),
        (LoadLimit("x", None, GIB), Seen(0, None, ()), "free memory of this host cannot be read"),
    ],
)  # fmt: skip
def test_it_is_told_what_keeps_a_job_from_beginning(
    limit: LoadLimit, seen: Seen, words: str
) -> None:
    assert words in (why_no_room(limit, seen) or "")
    assert room_of(limit, seen) == 0


def test_nothing_is_told_while_there_is_room() -> None:
    assert why_no_room(LoadLimit("x", 4, GIB), Seen(3.5, GIB, (SETTLE_S * 60,))) is None


def test_the_kernels_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "loadavg").write_text("1.25 0.90 0.50 2/300 4711\n")
    (tmp_path / "meminfo").write_text("MemTotal: 16 kB\nMemFree: 4 kB\nMemAvailable:  8 kB\n")

    host = ProcLoad(tmp_path)

    assert (host.average(), host.free_bytes()) == (1.25, 8192)


@pytest.mark.parametrize("text", [None, "", "MemAvailable:\n", "MemAvailable: much kB\n"])
def test_files_that_say_nothing_are_none(tmp_path: Path, text: str | None) -> None:
    for name in ("loadavg", "meminfo") if text is not None else ():
        (tmp_path / name).write_text(text or "")

    host = ProcLoad(tmp_path)

    assert (host.average(), host.free_bytes()) == (None, None)


def test_this_host_tells_both() -> None:
    average, free = ProcLoad().average(), ProcLoad().free_bytes()

    assert average is not None
    assert average >= 0
    assert free is not None
    assert free > 0
