"""The daemon restarted under a web server, in short; ``make restarts`` does it twenty times."""

from __future__ import annotations

import pytest

from tests.faults.restart_daemon import torment


@pytest.mark.timeout(300)
def test_calls_of_a_forked_web_server_are_neither_lost_nor_doubled_over_restarts() -> None:
    findings = torment(restarts=4)

    assert not findings.faults, "\n".join(findings.lines())
    assert findings.calls > 160
    assert findings.web_workers == 4
