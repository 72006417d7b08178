"""Power cuts in short; ``python -m tests.faults.power_cut --cycles 200`` makes many."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.faults import power_cut

REASON = power_cut.why_not()
pytestmark = [
    pytest.mark.skipif(REASON is not None, reason=REASON or ""),
    pytest.mark.timeout(300),
]
CYCLES = int(os.environ.get("JOBCTL_POWER_CUTS", "3"))


def test_what_was_acknowledged_survives_power_cuts_and_nothing_runs_twice() -> None:
    findings = power_cut.run_alone(CYCLES, random.SystemRandom().randrange(2**32))

    assert not findings.faults, "\n".join(findings.lines())
    assert findings.cuts == CYCLES
    assert findings.acknowledged >= 10 * CYCLES


def test_control_with_synchronous_normal_a_power_cut_loses_acknowledged_jobs() -> None:
    findings = power_cut.run_alone(5, 1, is_weak=True)

    assert any("acknowledged" in fault or "another job" in fault for fault in findings.faults)


_FAILING = """
from tests.faults import power_cut
try:
    with power_cut.bench(power_cut.Findings(1)) as made:
        made.disk.cut()
        raise ZeroDivisionError
except ZeroDivisionError:
    print(made.disk.image)
"""


def test_a_trial_that_fails_leaves_no_mount_and_no_device() -> None:
    done = subprocess.run(
        [*power_cut.ALONE, "-c", _FAILING], capture_output=True, text=True, check=True
    )

    image = Path(done.stdout.strip())
    told = subprocess.run(["losetup", "--all"], capture_output=True, text=True, check=True)
    assert str(image) not in told.stdout
    assert image.name == "disk.img"
    assert not image.parent.exists()
