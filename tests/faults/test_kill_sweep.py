"""Kill points in short; ``python -m tests.faults.kill_sweep`` tries every call."""

from __future__ import annotations

import os
import random
import shutil

import pytest

from tests.faults.kill_sweep import Findings, Point, calls_until_ready, try_point
from tests.support.daemon import with_patch

pytestmark = [
    pytest.mark.skipif(
        shutil.which("strace") is None and "CI" not in os.environ, reason="needs strace"
    ),
    pytest.mark.timeout(300),
]

_ANSWER_FIRST = """
from jobctl.daemon.storing import Storing
transact = Storing._transact
def answer_first(self, work):
    def early():
        for answer in work():
            answer()
        return []
    return transact(self, early)
Storing._transact = answer_first
"""


@pytest.mark.parametrize(
    "place",
    [
        ("daemon", "fdatasync", (14, 24)),
        ("daemon", "sendto", (2, 16)),
        ("daemon", "unlink", (4, 7)),
        ("workers", "write", (1, 3)),
        ("workers", "rename", (1, 1)),
    ],
    ids=lambda place: f"{place[0]}-{place[1]}",
)
def test_whoever_is_killed_at_a_call_loses_nothing_and_doubles_nothing(
    place: tuple[str, str, tuple[int, int]],
) -> None:
    who, call, (first, last) = place
    point = Point(who, call, random.SystemRandom().randint(first, last))
    findings = Findings()

    try_point(point, findings)

    assert not findings.faults, f"{point}: {findings.faults}"
    assert findings.jobs


def test_control_with_the_answer_before_the_commit_an_acknowledged_job_is_lost() -> None:
    """Killed as it writes into the log: kill -9 spares what was written before."""
    findings = Findings()

    # From the first request on each third write: a commit has more.
    first = calls_until_ready("pwrite64") + 1
    for number in range(first, first + 60, 3):
        try_point(Point("daemon", "pwrite64", number), findings, with_patch(_ANSWER_FIRST))
        if findings.faults:
            break

    assert any("was acknowledged, but" in fault for fault in findings.faults)


def test_a_point_beyond_the_last_call_is_not_counted_as_tried() -> None:
    findings = Findings()

    is_reached = try_point(Point("daemon", "unlink", 10_000), findings)

    assert not is_reached
    assert not findings.points
    assert not findings.faults
