"""Everything at once for some seconds; ``python -m tests.faults.soak`` does it for minutes."""

from __future__ import annotations

import pytest

from tests.faults.soak import soak


@pytest.mark.timeout(600)
def test_after_everything_at_once_the_daemon_is_as_it_was() -> None:
    findings = soak(seconds=8.0, seed=1)

    assert not findings.faults, "\n".join(findings.lines())
    assert findings.jobs == 160


_LEAK = """
import os
from jobctl.daemon.daemon import Daemon
look = Daemon._look
def leaking(self, call):
    os.open("/dev/null", os.O_RDONLY)
    look(self, call)
Daemon._look = leaking
"""


@pytest.mark.timeout(600)
def test_control_a_daemon_that_leaves_descriptors_open_is_found_out() -> None:
    findings = soak(seconds=1.0, seed=1, code=_LEAK, rest_s=0.5)

    assert "descriptors are left" in findings.faults
