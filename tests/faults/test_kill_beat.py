"""The daemon killed around ticks, in short; ``make kill-beat`` does it two hundred times."""

from __future__ import annotations

import random

import pytest

from tests.faults.kill_beat import torment

BESIDE_OTHERS_S = 15.0
"""More than the budget, which ``make kill-beat`` holds alone: here the other tests want the processors."""


@pytest.mark.timeout(300)
def test_fifteen_kills_around_ticks_leave_each_instant_one_fate() -> None:
    seed = random.SystemRandom().randrange(2**32)

    findings = torment(kills=15, seed=seed, recovery_s=BESIDE_OTHERS_S)

    told = "\n".join(findings.lines())
    assert not findings.faults, told
    assert findings.kills == 15
    # It was worth looking at: instants of each kind that this brings about.
    assert findings.fates.keys() >= {"submitted", "skipped", "coalesced"}, told
    assert findings.states["SUCCESS"] > 15, told
