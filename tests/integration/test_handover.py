"""Jobs that follow others, and what is kept of results, with real processes."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from jobctl import AsyncResult, send_task
from jobctl.errors import ConfigError, RemoteError
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon
from tests.support.shop import LIMIT_S, Shop

TASKS = """
[tasks.work]
shell = "exit $1"
retries = 1
retry_delay = 0
retry_on = [75]
on_success = "note"
on_failure = "note"
on_retry = "note"
[tasks.note]
shell = 'env | grep ^JOBCTL_ARG_ | sort | tr "\\n" " "'
"""


def followers(daemon: Daemon, task: str) -> list[int]:
    """The ids of the jobs of a task, oldest first."""
    jobs = daemon.call(requests.List(task=task))["jobs"]
    return sorted(job["id"] for job in jobs)


def told(daemon: Daemon, job: int) -> dict[str, str]:
    """What a job of ``note`` was told, by name."""
    daemon.ended(job)
    pairs = [word.split("=", 1) for word in daemon.output(job).split()]
    return {name.removeprefix("JOBCTL_ARG_").lower(): value for name, value in pairs}


@pytest.mark.parametrize(
    ("code", "states"), [(0, ["SUCCESS"]), (3, ["FAILURE"]), (75, ["RETRY", "FAILURE"])]
)
def test_each_end_of_a_command_makes_its_job(code: int, states: list[str]) -> None:
    with running_daemon(TASKS) as daemon:
        job = daemon.ended(daemon.submit(task="work", args=[str(code)]))["id"]

        notes = [told(daemon, note) for note in followers(daemon, "note")]

        assert [note["state"] for note in notes] == states
        assert [note["attempt"] for note in notes] == [str(n + 1) for n in range(len(states))]
        assert {(note["job_id"], note["task"], note["exit_code"]) for note in notes} == {
            (str(job), "work", str(code))
        }


def test_a_job_that_was_cancelled_is_followed_by_none() -> None:
    config = TASKS + "[tasks.hang]\ncommand = ['sleep', '1000']\non_failure = 'note'\n"
    with running_daemon(config) as daemon:
        job = daemon.submit(task="hang")
        daemon.until("the command to run", lambda: daemon.status(job)["state"] == "STARTED")

        daemon.call(requests.Cancel(job=job))

        assert followers(daemon, "note") == []


@pytest.mark.slow
def test_what_ended_while_no_daemon_ran_is_followed_once() -> None:
    config = TASKS + (
        "[tasks.late]\nshell = 'until [ -e $1 ]; do sleep 0.01; done; exit 9'\n"
        "on_failure = 'note'\n"
    )
    with running_daemon(config) as daemon:
        go = daemon.folder / "go"
        job = daemon.submit(task="late", args=[str(go)])
        daemon.until("the command to run", lambda: daemon.status(job)["state"] == "STARTED")
        daemon.kill()
        go.touch()

        daemon.start()
        daemon.ended(job)
        daemon.kill()
        daemon.start()

        (note,) = followers(daemon, "note")
        assert told(daemon, note)["exit_code"] == "9"


CODE = """
    import json, pathlib
    def work(how):
        if how == "raise":
            raise ValueError("no " + "x" * 9000)
        return how
    def note(job_id, *, error_type=None, error_message=None, state):
        return [job_id, state, error_type, len(error_message or "")]
    def everything(**facts):
        return facts
    def huge(size):
        return "x" * (size - 2)
    def secret():
        return "secret"
"""
TABLES = """
    [tasks.work]
    function = "shop:work"
    on_success = "everything"
    on_failure = "note"
    [tasks.note]
    function = "shop:note"
    [tasks.everything]
    function = "shop:everything"
    [tasks.huge]
    function = "shop:huge"
    max_result = "1KiB"
    [tasks.secret]
    function = "shop:secret"
    ignore_result = true
"""


def follower(shop: Shop, task: str) -> Any:
    (job,) = followers(shop.daemon, task)
    return AsyncResult[Any](job).get(timeout=LIMIT_S)


def test_a_function_that_fails_is_followed_by_one_that_is_told_why(shop: Shop) -> None:
    shop.start(CODE, TABLES)
    job = shop.ended(send_task("work", ["raise"]))

    assert follower(shop, "note") == [job["id"], "FAILURE", "ValueError", 4096]


def test_a_function_that_returns_is_followed_by_one_that_is_told_all(shop: Shop) -> None:
    shop.start(CODE, TABLES)
    job = shop.ended(send_task("work", ["well"]))

    assert follower(shop, "everything") == {
        "job_id": job["id"],
        "task": "work",
        "state": "SUCCESS",
        "attempt": 1,
        "exit_code": None,
        "signal": None,
        "error_type": None,
        "error_message": None,
    }


def test_many_functions_that_return_at_once_are_followed_one_by_one(shop: Shop) -> None:
    shop.start(CODE, TABLES)
    jobs = shop.daemon.submit_many([{"task": "work", "args": ["x"], "typed": True}] * 300)
    shop.daemon.wait(*jobs)

    after = followers_of_all(shop.daemon, "everything", len(jobs))

    assert sorted(json.loads(told)["kwargs"]["job_id"] for told in after) == jobs


def followers_of_all(daemon: Daemon, task: str, count: int) -> list[str]:
    found = daemon.call(requests.List(task=task, limit=1000))["jobs"]
    assert len(found) == count
    return [json.dumps(daemon.status(job["id"])) for job in found]


def test_a_result_that_is_too_long_for_its_task_is_a_failure(shop: Shop) -> None:
    shop.start(CODE, TABLES)

    assert len(shop.value("huge", 1024)) == 1022
    error = send_task("huge", [1025]).get(timeout=LIMIT_S, propagate=False)
    assert isinstance(error, RemoteError)
    assert error.type == "InvalidResult"
    assert "1025 bytes as JSON, max_result is 1KiB" in error.text


def test_an_ignored_result_is_stored_nowhere(shop: Shop) -> None:
    shop.start(CODE, TABLES)

    job = shop.ended(send_task("secret"))

    assert job["state"] == "SUCCESS"
    assert shop.value("secret") is None
    shop.daemon.stop()
    store = shop.daemon.state_dir / "jobctl.db"
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
        results = database.execute("SELECT result FROM attempts").fetchall()
    assert results == [(None,), (None,)]


def test_check_tells_of_rings_and_of_tasks_that_do_not_exist(shop: Shop) -> None:
    shop.start(CODE, TABLES)
    shop.configure(TABLES + "[tasks.a]\ncommand = ['true']\non_failure = 'a'\non_retry = 'nix'\n")

    with pytest.raises(ConfigError) as caught:
        shop.reload()

    assert [problem.message for problem in caught.value.problems] == [
        'task "a": its jobs would never end: a -> a',
        'task "a": there is no task "nix"',
    ]
