"""Schedules of a real daemon: fires over kills, and jobs that would overlap."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND, SystemClock
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Sequence

KILLS = 12


def fires(daemon: Daemon, schedule: str = "tick") -> Sequence[dict[str, Any]]:
    """The fates of a schedule, oldest first."""
    found = daemon.call(requests.History(schedule=schedule, limit=1000))["fires"]
    return list(found[::-1])


def has_fires(daemon: Daemon, count: int) -> bool:
    return len([fire for fire in fires(daemon) if fire["fate"] == "submitted"]) >= count


@pytest.mark.slow
def test_each_second_has_one_fate_over_a_dozen_kills() -> None:
    """Killed at moments around the tick: before, in and after the turn that serves it."""
    rng = random.Random(20261120)
    clock = SystemClock()
    text = '[tasks.tick]\ncommand = ["/bin/true"]\nevery = "1s"\non_overlap = "allow"\n'
    with running_daemon(text) as daemon:
        for _ in range(KILLS):
            seen = len(fires(daemon))
            daemon.until("the next tick", lambda seen=seen: len(fires(daemon)) > seen)
            last = fires(daemon)[-1]["last"]
            moment = last + SECOND + round(rng.gauss(0.0, 0.003) * SECOND)
            daemon.until("the moment of the kill", lambda m=moment: clock.now() >= m)
            daemon.kill()
            daemon.start()
        daemon.until("one more tick", lambda: fires(daemon)[-1]["at"] > last)
        found = fires(daemon)
        made = [fire["job_id"] for fire in found if fire["fate"] == "submitted"]
        jobs = daemon.call(requests.List(limit=1000))["jobs"]

    for earlier, later in itertools.pairwise(found):
        assert later["at"] == earlier["last"] + SECOND
    for fire in found:
        assert fire["last"] == fire["at"] + (fire["count"] - 1) * SECOND
    assert len(made) == len(set(made))
    assert {job["id"] for job in jobs} == set(made)


def overlapping(word: str) -> str:
    return f"""
[tasks.tick]
shell = "until [ -e $HOME_OF_TEST/go ]; do sleep 0.01; done"
env = {{ HOME_OF_TEST = "FOLDER" }}
every = "1s"
on_overlap = "{word}"
stop = "KILL"
"""


def start(daemon: Daemon, word: str) -> Daemon:
    daemon.config.write_text(overlapping(word).replace("FOLDER", str(daemon.folder)))
    return daemon.start()


def end_schedule(daemon: Daemon) -> None:
    """The task stays, its schedule goes: no further jobs."""
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('every = "1s"\n', ""))
    daemon.call(requests.Reload())


def states(daemon: Daemon) -> list[str]:
    jobs = daemon.call(requests.List(limit=1000))["jobs"]
    return [job["state"] for job in sorted(jobs, key=lambda job: job["id"])]


@pytest.mark.slow
def test_queue_lets_one_job_wait_for_the_end_of_the_earlier_one() -> None:
    with running_daemon(start=False) as daemon:
        start(daemon, "queue")
        daemon.until("a coalesced instant", lambda: "coalesced" in map(_fate, fires(daemon)))
        assert states(daemon) == ["STARTED", "PENDING"]
        (waiting,) = [
            job for job in daemon.call(requests.List())["jobs"] if job["state"] == "PENDING"
        ]
        assert "earlier" in waiting["reason"]

        # Also over a kill: what waits is in the store.
        daemon.kill()
        daemon.start()
        assert states(daemon)[:2] == ["STARTED", "PENDING"]
        (daemon.folder / "go").touch()

        assert daemon.ended(waiting["id"])["state"] == "SUCCESS"
        end_schedule(daemon)


@pytest.mark.slow
def test_replace_stops_the_earlier_job_and_starts_the_new_one_when_it_is_gone() -> None:
    with running_daemon(start=False) as daemon:
        start(daemon, "replace")
        daemon.until("a replaced job", lambda: states(daemon).count("REVOKED") >= 2)
        end_schedule(daemon)
        jobs = sorted(daemon.call(requests.List(limit=1000))["jobs"], key=lambda job: job["id"])
        (daemon.folder / "go").touch()
        ended = [daemon.ended(job["id"]) for job in jobs]

    ran = [job for job in ended if job["attempts"]]
    assert len(ran) >= 2
    for earlier, later in itertools.pairwise(ran):
        assert earlier["attempts"][-1]["finished_at"] <= later["attempts"][0]["started_at"]
    assert {job["state"] for job in ended[:-1]} == {"REVOKED"}
    assert ended[-1]["state"] == "SUCCESS"


@pytest.mark.slow
def test_skip_makes_no_second_job() -> None:
    with running_daemon(start=False) as daemon:
        start(daemon, "skip")
        daemon.until("a skipped instant", lambda: "skipped" in map(_fate, fires(daemon)))
        (daemon.folder / "go").touch()

        daemon.until("a second job", lambda: has_fires(daemon, 2))

        (job,) = daemon.call(requests.List(limit=1000))["jobs"][-1:]
        assert daemon.ended(job["id"])["state"] == "SUCCESS"


def _fate(fire: dict[str, Any]) -> str:
    return str(fire["fate"])
