"""What a function does to its worker must not reach the jobs after it, nor the daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.configurations import CODE
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    user = 'user = "root"' if os.geteuid() == 0 else ""
    tables = [f'[workers.default]\nprocesses = 1\npythonpath = ["{CODE}"]\n{user}\n']
    tables += [
        f'[tasks.{name}]\nfunction = "rude:{name}"\n'
        for name in ("drop_stdout", "say", "make_text", "spoil_folder")
    ]
    with running_daemon("\n".join(tables)) as started:
        yield started


def serving(daemon: Daemon) -> list[dict[str, Any]]:
    """The function workers that take work; one that is being born has no pid yet."""
    return [worker for worker in daemon.workers("function") if worker["phase"] == "serving"]


def test_a_function_that_drops_stdout_takes_it_from_no_other_job(daemon: Daemon) -> None:
    (worker,) = daemon.until("a worker to serve", lambda: serving(daemon))
    first = daemon.submit(task="drop_stdout")
    second = daemon.submit(task="say", args=["still heard"])
    assert [job["state"] for job in daemon.wait(first, second)] == ["SUCCESS"] * 2
    assert daemon.output(second) == "still heard\n"
    assert [w["pid"] for w in daemon.workers("function")] == [worker["pid"]]


def test_a_result_that_is_too_long_is_a_failure_and_no_loss(daemon: Daemon) -> None:
    (worker,) = daemon.until("a worker to serve", lambda: serving(daemon))
    ended = daemon.ended(daemon.submit(task="make_text", args=[str(70 << 20)]))
    assert (ended["state"], ended["reason"]) == ("FAILURE", "failed")
    assert ended["error"]["type"] == "InvalidResult"
    assert "too long" in ended["error"]["message"]
    assert [w["pid"] for w in daemon.workers("function")] == [worker["pid"]]


def test_long_results_of_several_jobs_are_all_kept(daemon: Daemon) -> None:
    jobs = [daemon.submit(task="make_text", args=[str(15 << 20)]) for _ in range(5)]
    daemon.wait(*jobs[:2])
    for job in jobs:
        daemon.wait(job)
        assert len(daemon.status(job)["result"]) == 15 << 20


def test_a_worker_that_spoils_its_folder_keeps_no_daemon_from_starting(daemon: Daemon) -> None:
    other = daemon.folder / "other"
    other.mkdir()
    (other / "lock").write_text("untouched")
    daemon.ended(daemon.submit(task="spoil_folder", args=[str(other)]))
    daemon.kill()
    daemon.start()
    job = daemon.submit(task="say", args=["again"])
    assert daemon.ended(job)["state"] == "SUCCESS"
    assert (other / "lock").read_text() == "untouched"
    assert "0123456789abcdef" not in [worker["instance"] for worker in daemon.workers()]
