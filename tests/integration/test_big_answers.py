"""An answer is bounded, whatever its jobs hold, and says what it leaves out.

A frame that is longer than a client may leave unread ends its connection; before that it was a copy of all
of it in the daemon's memory.
"""

from __future__ import annotations

import json
import os
import pwd
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.client import Client
from jobctl.errors import UsageError
from jobctl.protocol import requests
from jobctl.protocol.requests import Inspect, Result, Wait
from tests.support.daemon import Daemon, running_daemon, with_patch
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

ME = pwd.getpwuid(os.geteuid()).pw_name
MIB = 1 << 20
FAR_AHEAD = 4_000_000_000_000_000
LONG = "x" * (15 * MIB)
BOUND = 64 * MIB


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon with functions that return, take and complain about a lot."""
    tables = "".join(f'[tasks.{name}]\nfunction = "big:{name}"\n' for name in ("give", "take"))
    with running_daemon(start=False) as made:
        (made.folder / "big.py").write_text(
            "def give(size):\n    return 'x' * size\n"
            "def take(text):\n    return len(text)\n"
            "def complain(size):\n    raise ValueError('y' * size)\n"
        )
        made.config.write_text(
            f'[daemon]\n[workers.default]\nuser = "{ME}"\nprocesses = 1\n'
            f'pythonpath = ["{made.folder}"]\n{tables}'
            '[tasks.complain]\nfunction = "big:complain"\nretries = 104\nretry_delay = 0\n'
        )
        made.start()
        yield made


def size_of(answer: dict[str, Any]) -> int:
    return len(json.dumps(answer))


def typed(task: str, value: object, **more: Any) -> dict[str, Any]:
    return {"task": task, "typed": True, "args": [value], **more}


@pytest.mark.slow
def test_a_wait_for_many_jobs_with_long_results_is_answered(daemon: Daemon) -> None:
    jobs = [daemon.submit(**typed("give", 15 * MIB)) for _ in range(5)]

    ends = daemon.wait(*jobs)

    assert [end["verdict"] for end in ends] == ["success"] * 5
    assert [end["result"] for end in ends] == [None] * 5
    assert size_of({"jobs": ends}) < 5000
    # Each of them is there for who asks for it.
    for job in jobs:
        assert daemon.call(Result(job=job))["result"] == LONG
    assert daemon.wait(jobs[0])[0]["result"] == LONG


@pytest.mark.slow
def test_the_page_of_one_job_leaves_out_what_is_long_and_says_so(daemon: Daemon) -> None:
    given = daemon.ended(daemon.submit(**typed("give", 15 * MIB)))
    taken = daemon.ended(daemon.submit(**typed("take", LONG)))

    assert given["left_out"] == ["result"]
    assert (given["args"], given["result"], given["state"]) == ([15 * MIB], None, "SUCCESS")
    assert taken["left_out"] == ["args", "kwargs"]
    assert (taken["args"], taken["result"]) == ([], 15 * MIB)
    short = daemon.ended(daemon.submit(**typed("take", "short")))
    assert (short["left_out"], short["args"]) == ([], ["short"])


@pytest.mark.slow
def test_listings_of_long_jobs_are_short(daemon: Daemon) -> None:
    jobs = [daemon.submit(**typed("take", LONG, eta=FAR_AHEAD)) for _ in range(5)]
    words = ["echo", *["z" * 100_000] * 100]
    command = daemon.submit(command=words, cwd="/", eta=FAR_AHEAD)
    short = daemon.submit(**typed("take", "short", eta=FAR_AHEAD))

    listed = daemon.call(requests.List())
    scheduled = daemon.call(Inspect(what="scheduled"))

    assert size_of(listed) < 10_000
    assert size_of(scheduled) < 10_000
    found = {job["id"]: (job["left_out"], job["args"]) for job in listed["jobs"]}
    assert [found[job] for job in jobs] == [(["args", "kwargs"], [])] * 5
    assert found[command] == (["command"], [])
    assert found[short] == ([], ["short"])
    assert {job["id"]: job["left_out"] for job in scheduled["jobs"]}[command] == ["command"]


def test_jobs_that_run_are_listed_without_their_long_command(daemon: Daemon) -> None:
    job = daemon.submit(command=["/bin/sh", "-c", "sleep 1000", *["z" * 100_000] * 10], cwd="/")
    daemon.until("it to run", lambda: daemon.status(job)["state"] == "STARTED")

    (running,) = daemon.call(Inspect(what="active"))["jobs"]

    assert (running["id"], running["command"], running["left_out"]) == (job, None, ["command"])
    daemon.call(requests.Cancel(job=job))


@pytest.mark.slow
def test_of_many_failed_attempts_the_newest_are_shown(daemon: Daemon) -> None:
    job = daemon.submit(**typed("complain", 100_000))

    whole = daemon.ended(job)

    assert whole["left_out"] == ["attempts"]
    assert [attempt["number"] for attempt in whole["attempts"]] == list(range(6, 106))
    assert whole["error"]["type"] == "ValueError"
    assert size_of(whole) < BOUND
    # The ends of several jobs are told in short.
    (end, _) = daemon.wait(job, job)
    assert len(end["error"]["message"]) < 300
    assert size_of(end) < 1000


def test_what_is_too_long_for_any_client_is_refused_and_the_connection_goes_on() -> None:
    patch = "import jobctl.daemon.server as server\nserver._UNREAD_LIMIT_BYTES = 1000"
    with running_daemon(start=False) as daemon:
        daemon.launcher = with_patch(patch)
        daemon.start()
        with Client(daemon.socket, timeout_s=10 * PATIENCE) as client:
            for number in range(5):
                job = {"command": ["true"], "cwd": "/", "eta": FAR_AHEAD, "priority": number}
                client.call(requests.Submit(jobs=[job]))
            with pytest.raises(UsageError, match="the answer has"):
                client.call(requests.List())
            assert len(client.call(requests.List(limit=1))["jobs"]) == 1


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"labels": {str(n): "x" for n in range(33)}}, "32 labels"),
        ({"retries": 1_000_001}, "retries lies between"),
        ({"retries": -1}, "retries lies between"),
    ],
)
def test_what_would_not_be_bounded_is_not_taken(
    daemon: Daemon, job: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        daemon.submit(**typed("take", "x", **job))


def test_a_wait_has_a_limit_too(daemon: Daemon) -> None:
    with pytest.raises(UsageError, match="10000 jobs"):
        daemon.call(Wait(jobs=[1] * 10_001))
