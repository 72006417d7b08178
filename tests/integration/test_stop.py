"""Stopping a real daemon: what becomes of running jobs, and that nothing of it is left."""

from __future__ import annotations

import itertools
import signal
from typing import TYPE_CHECKING

import pytest

from jobctl.errors import DaemonNotRunning
from jobctl.protocol import requests
from jobctl.store.database import open_database
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from pathlib import Path

EVERY_SECOND = """
[tasks.tick]
command = ["/bin/true"]
every = "1s"
"""


def running_job(daemon: Daemon, code: int = 0) -> tuple[int, Path]:
    """A job that runs until its file appears."""
    go = daemon.folder / f"go-{code}"
    job = daemon.shell(f"until [ -e {go} ]; do sleep 0.01; done; exit {code}")
    daemon.until("the job to run", lambda: daemon.status(job)["state"] == "STARTED")
    return job, go


def left(daemon: Daemon) -> list[str]:
    """Files of the run folder, and the socket."""
    found = [path for path in (daemon.state_dir / "run").rglob("*") if not path.is_dir()]
    return [str(path) for path in found] + ([str(daemon.socket)] if daemon.socket.exists() else [])


@pytest.mark.parametrize("mode", ["keep", "drain", "kill"])
def test_a_daemon_without_jobs_leaves_no_process_no_file_and_no_socket(
    daemon: Daemon, mode: str
) -> None:
    daemon.ended(daemon.shell("true"))

    assert daemon.stop(mode) == 0

    daemon.until("every process to be gone", lambda: not daemon.processes())
    assert left(daemon) == []


def test_keep_leaves_a_running_job_to_the_next_daemon(daemon: Daemon) -> None:
    job, go = running_job(daemon, 5)

    assert daemon.stop("keep") == 0
    daemon.start()

    assert daemon.status(job)["state"] == "STARTED"
    go.touch()
    (attempt,) = daemon.ended(job)["attempts"]
    assert attempt["exit_code"] == 5


@pytest.mark.slow
def test_keep_is_what_term_does(daemon: Daemon) -> None:
    job, go = running_job(daemon)

    daemon.signal(signal.SIGTERM)

    assert daemon.wait_for_exit() == 0
    daemon.start()
    go.touch()
    assert daemon.ended(job)["state"] == "SUCCESS"


@pytest.mark.slow
def test_drain_waits_for_running_jobs_and_begins_no_other(daemon: Daemon) -> None:
    job, go = running_job(daemon, 6)
    assert daemon.call(requests.Stop(mode="drain"))["mode"] == "drain"
    waiting = daemon.shell("true")

    go.touch()

    assert daemon.wait_for_exit() == 0
    daemon.start()
    assert daemon.status(job)["attempts"][0]["exit_code"] == 6
    ended = daemon.ended(waiting)
    assert ended["started_at"] > daemon.status(job)["finished_at"]


@pytest.mark.slow
def test_kill_stops_running_jobs_and_waits_until_they_are_gone(daemon: Daemon) -> None:
    job, _ = running_job(daemon)

    assert daemon.stop("kill") == 0

    daemon.until("every process to be gone", lambda: not daemon.processes())
    assert left(daemon) == []
    daemon.start()
    found = daemon.status(job)
    assert found["state"] == "REVOKED"
    assert found["attempts"][0]["outcome"] == "cancelled"


def test_a_second_term_does_not_wait_for_the_drain(daemon: Daemon) -> None:
    job, go = running_job(daemon, 7)
    daemon.call(requests.Stop(mode="drain"))
    daemon.signal(signal.SIGTERM)

    assert daemon.wait_for_exit() == 0

    daemon.start()
    assert daemon.status(job)["state"] == "STARTED"
    go.touch()
    assert daemon.ended(job)["attempts"][0]["exit_code"] == 7


@pytest.mark.slow
def test_the_configured_way_is_taken_when_none_is_named() -> None:
    with running_daemon('[daemon]\nshutdown = "kill"\n') as daemon:
        job, _ = running_job(daemon)

        assert daemon.call(requests.Stop())["mode"] == "kill"

        assert daemon.wait_for_exit() == 0
        daemon.start()
        assert daemon.status(job)["state"] == "REVOKED"


@pytest.mark.slow
def test_an_instant_that_falls_into_the_end_is_served_by_the_next_daemon() -> None:
    with running_daemon(EVERY_SECOND) as daemon:
        daemon.until("a fire", lambda: daemon.call(requests.History(schedule="tick"))["fires"])
        daemon.stop()
        daemon.start()

        def has_gone_on() -> bool:
            fires = daemon.call(requests.History(schedule="tick"))["fires"]
            return len(fires) >= 3

        daemon.until("further fires", has_gone_on)
        fires = daemon.call(requests.History(schedule="tick"))["fires"][::-1]
    for earlier, later in itertools.pairwise(fires):
        assert later["at"] == earlier["last"] + 1_000_000


@pytest.mark.slow
def test_a_daemon_that_stops_says_when_and_one_that_is_killed_does_not() -> None:
    with running_daemon() as daemon:
        daemon.stop()
        daemon.start()
        daemon.kill()
        daemon.start()
        daemon.stop()
        database = open_database(daemon.state_dir / "jobctl.db", is_read_only=True)
        served = database.rows("SELECT began_at, stopped_at FROM daemons ORDER BY id")
        database.close()

    (first, end), (second, nothing), (third, last) = served
    assert first <= end <= second <= third <= last
    assert nothing is None


def test_a_client_that_asked_for_the_end_sees_it(daemon: Daemon) -> None:
    client = daemon.client
    client.call(requests.Stop())

    client.wait_closed()

    assert daemon.wait_for_exit() == 0
    client.close()
    with pytest.raises(DaemonNotRunning):
        client.connect()
