"""Functions side by side in threads of one worker (``pool = "threads"``)."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from jobctl.client import Client
from jobctl.errors import UsageError
from jobctl.protocol import requests
from tests.integration.test_coroutines import USER, outcome, submit, submit_many
from tests.support.configurations import CODE
from tests.support.daemon import running_daemon
from tests.support.processes import is_running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.daemon import Daemon

FUNCTIONS = ("meet", "hold", "talk", "fail", "fork", "coroutine")


def threads(concurrency: int = 20) -> str:
    """A configuration with every function as a task of a group with threads."""
    group = f'pool = "threads"\nprocesses = 1\nconcurrency = {concurrency}\n'
    tables = [f'[workers.io]\n{group}pythonpath = ["{CODE}"]\n{USER}']
    tables += [f'[tasks.{name}]\nfunction = "threaded:{name}"\n' for name in FUNCTIONS]
    return "\n".join(tables)


def hold_many(daemon: Daemon, count: int, begin: int) -> tuple[list[int], Path, Path]:
    """Jobs of which so many begin; they wait until a file exists: ids, ledger and file."""
    ledger, go = daemon.folder / "ledger", daemon.folder / "go"
    ids = submit_many(daemon, "hold", [[str(ledger), f"n{n}", str(go)] for n in range(count)])
    daemon.until(
        "them to begin", lambda: ledger.exists() and len(ledger.read_text().split()) == begin
    )
    return ids, ledger, go


def test_as_many_run_at_once_as_the_group_says() -> None:
    with running_daemon(threads()) as daemon:
        ids = submit_many(daemon, "meet", [[]] * 20)
        assert {job["state"] for job in daemon.wait(*ids)} == {"SUCCESS"}
        (worker,) = daemon.workers("function")
        assert {daemon.status(job)["result"] for job in ids} == {worker["pid"]}


@pytest.mark.parametrize("limit", ["timeout_s", "deadline_s"])
def test_a_limit_that_nobody_could_keep_is_refused_at_submit(limit: str) -> None:
    with (
        running_daemon(threads()) as daemon,
        pytest.raises(UsageError, match="nobody can stop a thread"),
    ):
        daemon.submit(task="meet", **{limit: 60.0})


def test_outcomes_and_output_are_those_of_each_job() -> None:
    with running_daemon(threads()) as daemon:
        talks = submit_many(daemon, "talk", [[f"w{number}"] for number in range(10)])
        kinds = ("text", "exit", "stop")
        fails = submit_many(daemon, "fail", [[kind] for kind in kinds])
        daemon.wait(*talks)

        for number, job in enumerate(talks):
            said = [f"w{number} {line}" for line in range(20)]
            assert daemon.output(job).split("\n") == [*said, ""]
        types = [outcome(daemon, job)["error"]["type"] for job in fails]
        assert types == ["ValueError", "SystemExit", "StopIteration"]
        assert daemon.ended(submit(daemon, "coroutine", 4))["result"] == 4


def test_a_fork_that_user_code_lets_return_does_not_speak_for_the_worker() -> None:
    with running_daemon(threads()) as daemon:
        assert daemon.ended(submit(daemon, "fork", "x"))["result"] == "the parent"


def test_a_killed_worker_loses_what_had_begun_and_nothing_else() -> None:
    with running_daemon(threads(5)) as daemon:
        ids, ledger, go = hold_many(daemon, 8, 5)
        (worker,) = daemon.workers("function")

        os.kill(worker["pid"], signal.SIGKILL)
        go.touch()

        states = [job["state"] for job in daemon.wait(*ids)]
        assert states == ["FAILURE"] * 5 + ["SUCCESS"] * 3
        assert sorted(ledger.read_text().split()) == [f"n{number}" for number in range(8)]


def test_a_killed_daemon_ends_none_of_them() -> None:
    with running_daemon(threads(5)) as daemon:
        ids, ledger, go = hold_many(daemon, 8, 5)
        daemon.kill()
        daemon.start()
        go.touch()
        assert {job["state"] for job in daemon.wait(*ids)} == {"SUCCESS"}
        assert sorted(ledger.read_text().split()) == [f"n{number}" for number in range(8)]


def test_a_job_that_is_cancelled_ends_with_its_thread_and_the_others_go_on() -> None:
    with running_daemon(threads(5)) as daemon:
        ids, _, go = hold_many(daemon, 2, 2)
        (worker,) = daemon.workers("function")
        asking = threading.Thread(target=ask_for_the_end_of, args=(daemon, ids[0]))
        asking.start()
        daemon.until(
            "the stop to be asked for",
            lambda: daemon.status(ids[0])["reason"] == "is being stopped",
        )
        assert daemon.status(ids[0])["state"] == "STARTED"
        go.touch()
        asking.join()

        assert daemon.ended(ids[0])["state"] == "REVOKED"
        assert daemon.ended(ids[1])["result"] == "n1"
        assert is_running(worker["pid"])


def ask_for_the_end_of(daemon: Daemon, job: int) -> None:
    client = Client(daemon.socket, timeout_s=60)
    with contextlib.closing(client):
        client.call(requests.Cancel(job=job))
