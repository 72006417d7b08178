"""The daemon killed at random moments, in short; ``make kill`` does it two hundred times."""

from __future__ import annotations

import random

import pytest

from tests.faults.kill_daemon import torment

BESIDE_OTHERS_S = 15.0
"""More than the budget, which ``make kill`` holds alone: here the other tests want the processors."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("worker_kills", [0, 8])
def test_twenty_kills_lose_no_job_and_run_none_twice(worker_kills: int) -> None:
    seed = random.SystemRandom().randrange(2**32)

    findings = torment(
        kills=20, jobs=500, worker_kills=worker_kills, seed=seed, recovery_s=BESIDE_OTHERS_S
    )

    assert not findings.faults, "\n".join(findings.lines())
    assert findings.kills == 20
    assert findings.jobs == 500
