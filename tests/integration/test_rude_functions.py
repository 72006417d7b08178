"""What a function does to its worker must not reach the jobs after it, nor the daemon."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.protocol import requests
from tests.support.configurations import CODE
from tests.support.daemon import Daemon, running_daemon
from tests.support.processes import is_running, pids_in

if TYPE_CHECKING:
    from collections.abc import Iterator


TASKS = (
    "drop_stdout say make_text spoil_folder hide hide_and_end part unlink_marks look "
    "disturb disturb_and_fail replace_environment rest"
)


def configuration(*, processes: int = 1) -> str:
    user = 'user = "root"' if os.geteuid() == 0 else ""
    tables = [f'[workers.default]\nprocesses = {processes}\npythonpath = ["{CODE}"]\n{user}\n']
    tables += [f'[tasks.{name}]\nfunction = "rude:{name}"\n' for name in TASKS.split()]
    return "\n".join(tables)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with running_daemon(configuration()) as started:
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
        assert len(daemon.call(requests.Result(job=job))["result"]) == 15 << 20


@pytest.mark.slow
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


WAYS = (
    "unlink",
    "loop",
    "link to the template",
    "link to the other worker",
    "file",
    "close",
    "close all",
)


@pytest.mark.parametrize("how", WAYS)
def test_a_worker_that_nobody_can_reach_is_ended_by_the_next_daemon(how: str) -> None:
    """It kept its slot for ever: its job STARTED, and one worker less for the others."""
    with running_daemon(configuration(processes=2)) as daemon:
        daemon.until("both workers to serve", lambda: len(serving(daemon)) == 2)
        began = daemon.folder / "began"
        job = daemon.submit(task="hide", args=[how, str(began)])
        daemon.until("the function to run", began.exists)
        tree = pids_in(began)
        assert len(tree) == 2
        daemon.kill()

        daemon.start()

        ended = daemon.ended(job)
        assert not any(is_running(pid) for pid in tree)
        assert ended["state"] == "FAILURE"
        (attempt,) = ended["attempts"]
        assert attempt["outcome"] == "lost"
        assert attempt["error"]["message"].startswith("its worker could not be reached any more")
        daemon.until("two workers to serve", lambda: len(serving(daemon)) == 2)
        assert daemon.ended(daemon.submit(task="say", args=["x"]))["state"] == "SUCCESS"


@pytest.mark.parametrize("how", ["unlink", "close all"])
def test_a_job_that_has_ended_keeps_its_result_although_its_worker_cannot_be_reached(
    how: str,
) -> None:
    with running_daemon(configuration()) as daemon:
        (before,) = daemon.until("a worker to serve", lambda: serving(daemon))
        job = daemon.submit(task="hide_and_end", args=[how])
        assert daemon.ended(job)["result"] == how
        daemon.kill()

        daemon.start()

        (after,) = daemon.until("a worker to serve", lambda: serving(daemon))
        assert after["pid"] != before["pid"]
        assert daemon.status(job)["state"] == "SUCCESS"


def test_a_job_that_parts_from_its_daemon_may_end_and_leaves_no_slot_taken() -> None:
    with running_daemon(configuration()) as daemon:
        began, go = daemon.folder / "began", daemon.folder / "go"
        job = daemon.submit(task="part", args=[str(began), str(go)])
        (pid,) = daemon.until("the function to run", lambda: pids_in(began))
        daemon.until("the daemon to notice", lambda: not serving(daemon))
        go.touch()

        assert daemon.ended(job)["result"] == "went"

        assert daemon.ended(daemon.submit(task="say", args=["x"]))["state"] == "SUCCESS"
        assert not is_running(pid)


def test_an_attempt_without_marks_is_lost_and_not_run_again() -> None:
    """Marks that were removed said that nothing had begun: the job ran a second time."""
    with running_daemon(configuration()) as daemon:
        began = daemon.folder / "began"
        job = daemon.submit(task="unlink_marks", args=[str(began)])
        (pid,) = daemon.until("the function to run", lambda: pids_in(began))
        os.kill(pid, signal.SIGKILL)

        (attempt,) = daemon.ended(job)["attempts"]

        assert attempt["outcome"] == "lost"
        assert "marks cannot be read" in attempt["error"]["message"]


@pytest.mark.parametrize("task", ["disturb", "disturb_and_fail", "replace_environment"])
def test_a_job_finds_what_the_one_before_it_found(daemon: Daemon, task: str) -> None:
    def look() -> dict[str, Any]:
        found: dict[str, Any] = daemon.ended(daemon.submit(task="look"))["result"]
        return found

    before = look()
    daemon.ended(daemon.submit(task=task))
    assert look() == before


def test_no_clock_of_one_job_ends_the_next(daemon: Daemon) -> None:
    disturbing = daemon.submit(task="disturb")
    resting = daemon.submit(task="rest", args=[0.6], typed=True)
    first, second = daemon.ended(disturbing), daemon.ended(resting)
    assert first["state"] == "SUCCESS"
    assert second["result"] == "rested"


def test_jobs_of_one_batch_keep_apart_what_is_cheap_to_put_back(daemon: Daemon) -> None:
    """Of the rest `jobctl.worker.surroundings` says when it is put back."""
    jobs = [{"task": task} for task in ("look", "disturb", "look") * 5]
    ids = daemon.submit_many(jobs)
    daemon.wait(*ids)
    looks = [found for job in ids if (found := daemon.status(job)["result"])]
    rest = {"timers", "handlers", "mask", "locale", "limits", "outputs"}
    assert len(looks) == 10
    for found in looks:
        assert {k: v for k, v in found.items() if k not in rest} == {
            k: v for k, v in looks[0].items() if k not in rest
        }
