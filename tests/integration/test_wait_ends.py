"""A wait whose time is over is answered then, although nothing else wakes the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.client import Client
from jobctl.protocol import requests
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

FAR_AHEAD = 4_000_000_000_000_000


def test_a_wait_for_a_job_that_does_not_end_is_answered_by_an_idle_daemon(daemon: Daemon) -> None:
    job = daemon.submit(command=["true"], cwd="/", eta=FAR_AHEAD)
    # Less than any deadline of an idle daemon's own.
    with Client(daemon.socket, timeout_s=5 * PATIENCE) as client:
        answer = client.call(requests.Wait(jobs=[job], timeout_s=0.1))
    assert answer["timed_out"]
