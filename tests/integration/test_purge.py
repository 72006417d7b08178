"""``queue purge``: everything that waits in a queue is revoked, wherever it stands, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.dispatcher.purge import SLICE
from jobctl.errors import NotFound, UsageError
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """
[workers.default]
queues = ["default", "other"]
commands = 4
[tasks.hold]
shell = 'until [ -e "$1" ]; do sleep 0.01; done'
[tasks.keyed]
shell = "true"
concurrency_key = "{1}"
[tasks.limited]
shell = "true"
concurrency = 1
"""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon whose two queues are paused."""
    with running_daemon(CONFIG) as started:
        for queue in ("default", "other"):
            started.call(requests.Pause(queue=queue, paused=True))
        yield started


def purge(daemon: Daemon, queue: str) -> int:
    """Purge as the command does; how many were revoked."""
    answer = daemon.call(requests.Purge(queue=queue))
    revoked = int(answer["revoked"])
    while answer["next"] is not None:
        following = requests.Purge(queue=queue, until=answer["until"], next=answer["next"])
        answer = daemon.call(following)
        revoked += answer["revoked"]
    return revoked


def count(daemon: Daemon, state: str) -> int:
    return int(daemon.call(requests.List(states=[state], count=True))["count"])


def test_whatever_a_job_waits_for_it_is_revoked(daemon: Daemon) -> None:
    first = daemon.shell("true", priority=3)
    waiting: list[dict[str, Any]] = [
        {"task": "hold", "args": ["x"], "delay_s": 3600},
        {"task": "keyed", "args": ["a"]},
        {"task": "keyed", "args": ["a"], "priority": -5},
        {"task": "limited"},
        {"task": "hold", "args": ["x"], "after": [first]},
    ]
    ids = [first, *daemon.submit_many(waiting)]
    others = daemon.submit_many([{**job, "queue": "other"} for job in waiting])

    # The one that waits for another goes with that: nobody has to look at it.
    assert purge(daemon, "default") in (len(ids), len(ids) - 1)

    told = [daemon.status(job) for job in ids]
    assert {job["state"] for job in told} == {"REVOKED"}
    assert told[0]["reason"] == "purged from its queue"
    # Of the other queue only the one that waited for the first is gone, with it.
    assert [daemon.status(job)["state"] for job in others] == ["PENDING"] * 4 + ["REVOKED"]


def test_thousands_go_in_slices_and_what_runs_goes_on(daemon: Daemon) -> None:
    daemon.call(requests.Pause(queue="default", paused=False))
    go = daemon.folder / "go"
    running = daemon.submit(task="hold", args=[str(go)])
    daemon.until("it to run", lambda: daemon.status(running)["state"] == "STARTED")
    daemon.call(requests.Pause(queue="default", paused=True))
    daemon.submit_many(
        [{"task": "hold", "args": ["x"], "priority": n % 5} for n in range(3 * SLICE)]
    )

    assert purge(daemon, "default") == 3 * SLICE

    assert count(daemon, "PENDING") == 0
    assert daemon.status(running)["state"] == "STARTED"
    go.touch()
    assert daemon.ended(running)["state"] == "SUCCESS"


def test_what_is_submitted_meanwhile_is_left_alone(daemon: Daemon) -> None:
    daemon.submit_many([{"task": "hold", "args": ["x"]}] * (SLICE + 10))
    answer = daemon.call(requests.Purge(queue="default"))
    late = daemon.submit(task="hold", args=["x"], priority=-1)

    daemon.call(requests.Purge(queue="default", until=answer["until"], next=answer["next"]))

    assert count(daemon, "PENDING") == 1
    assert daemon.status(late)["state"] == "PENDING"


def test_a_purge_goes_on_over_a_killed_daemon(daemon: Daemon) -> None:
    daemon.submit_many([{"task": "hold", "args": ["x"]}] * (2 * SLICE))
    answer = daemon.call(requests.Purge(queue="default"))
    daemon.kill()
    daemon.start()

    while answer["next"] is not None:
        following = requests.Purge(queue="default", until=answer["until"], next=answer["next"])
        answer = daemon.call(following)

    assert count(daemon, "PENDING") == 0


def test_a_queue_that_is_not_there_and_a_place_that_is_none_are_refused(daemon: Daemon) -> None:
    with pytest.raises(NotFound):
        daemon.call(requests.Purge(queue="gone"))
    for position in ([], [1], ["c/default", "0", 0], ["c/default", 0, -1]):
        with pytest.raises(UsageError):
            daemon.call(requests.Purge(queue="default", next=position))
