"""What functions write, in each of the ways in which programs write."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.protocol import requests
from tests.support.configurations import CODE
from tests.support.daemon import Daemon, running_daemon
from tests.support.processes import Ends, is_running, pids_in

if TYPE_CHECKING:
    from collections.abc import Iterator

TASKS = (
    "streams lines bytes_and_text raw child both order reopen flood_child leave_writing close_stream "
    "detach_stream nonblocking silent fork_and_print shut_output logs unlikely "
    "hang vanish print_later"
)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    user = 'user = "root"' if os.geteuid() == 0 else ""
    tables = [f'[workers.default]\nprocesses = 1\npythonpath = ["{CODE}"]\n{user}\n']
    tables += [f'[tasks.{name}]\nfunction = "talk:{name}"\n' for name in TASKS.split()]
    with running_daemon("\n".join(tables)) as started:
        yield started


def said(daemon: Daemon, task: str, *args: str) -> str:
    """The output of a job that succeeds."""
    job = daemon.submit(task=task, args=list(args))
    ended = daemon.ended(job)
    assert ended["state"] == "SUCCESS", ended
    return daemon.output(job)


def test_the_streams_are_what_streams_are(daemon: Daemon) -> None:
    job = daemon.submit(task="streams")
    assert daemon.ended(job)["result"] == {
        "encoding": "utf-8",
        "fileno": [1, 1],
        "isatty": False,
        "writable": True,
        "readable": False,
        "buffer": 3,
        "closed": False,
        "name": "<stdout>",
    }


@pytest.mark.parametrize(
    ("task", "output"),
    [
        ("lines", "a\nb\nc\n"),
        ("bytes_and_text", "text\nbytes\nerr\n"),
        ("raw", "one\ntwo\n"),
        ("child", "from a child\nits error\n"),
        ("both", "first\nsecond\nthird\n"),
        ("order", "1\n2\n3\n4\n"),
        ("reopen", "one\ntwo\nthree\n"),
        ("fork_and_print", "fork\nparent\n"),
        ("logs", "WARNING:root:careful\n"),
        ("nonblocking", "x\n"),
        ("silent", ""),
        ("close_stream", "before\n"),
        ("detach_stream", "before\n"),
    ],
)
def test_what_is_written_in_any_way_is_kept_and_nothing_of_it_comes_to_the_next_job(
    daemon: Daemon, task: str, output: str
) -> None:
    assert said(daemon, task) == output
    assert said(daemon, "lines") == "a\nb\nc\n"
    assert said(daemon, "child") == "from a child\nits error\n"
    assert said(daemon, "silent") == ""


def test_of_a_child_s_flood_the_first_and_the_last_part_are_kept(daemon: Daemon) -> None:
    job = daemon.submit(task="flood_child", args=["5000000"])
    (attempt,) = daemon.ended(job)["attempts"]
    assert attempt["output_bytes"] == 5_000_000 + len("begin\nend\n")
    output = daemon.output(job)
    assert output.startswith("begin\nxxx")
    assert output.endswith("xxxend\n")
    assert len(output) <= 16 * 1024


def test_what_a_job_has_left_running_may_write_for_longer_than_its_worker_lives() -> None:
    """It is not ended by what it writes: whoever reads its output is the worker's parent."""
    user = 'user = "root"\n' if os.geteuid() == 0 else ""
    config = (
        f'[workers.default]\nprocesses = 1\nmax_tasks_per_child = 1\npythonpath = ["{CODE}"]\n{user}'
        '[tasks.leave_writing]\nfunction = "talk:leave_writing"\n'
        '[tasks.silent]\nfunction = "talk:silent"\n'
    )
    with running_daemon(config) as daemon:
        began, go = daemon.folder / "began", daemon.folder / "go"
        job = daemon.submit(task="leave_writing", args=[str(began), str(go)])
        left = int(daemon.ended(job)["result"])
        try:
            assert daemon.ended(daemon.submit(task="silent"))["state"] == "SUCCESS"
            go.touch()
            daemon.until("it to have written", began.exists)
            assert is_running(left)
        finally:
            os.killpg(left, signal.SIGKILL)


def test_a_worker_that_has_led_its_output_elsewhere_is_led_back(daemon: Daemon) -> None:
    daemon.ended(daemon.submit(task="shut_output"))
    assert said(daemon, "child") == "from a child\nits error\n"
    assert said(daemon, "raw") == "one\ntwo\n"


HUNG = "opening the door\nknocking\nwaiting\n"


def test_what_a_job_writes_as_its_worker_crashes_is_in_its_attempt(daemon: Daemon) -> None:
    job = daemon.submit(task="unlikely")
    (attempt,) = daemon.ended(job)["attempts"]
    assert attempt["outcome"] == "lost"
    assert "Fatal Python error: Aborted" in daemon.output(job)
    assert "Fatal Python error: Aborted" in attempt["output_tail"]
    assert "Fatal Python error" not in daemon.log()
    assert said(daemon, "silent") == ""


def test_what_a_job_printed_before_it_left_its_worker_is_in_its_attempt(daemon: Daemon) -> None:
    job = daemon.submit(task="vanish")
    (attempt,) = daemon.ended(job)["attempts"]
    assert (attempt["outcome"], attempt["output_bytes"]) == ("lost", len("leaving\n"))
    assert daemon.output(job) == "leaving\n"


def hang(daemon: Daemon, name: str, **options: Any) -> tuple[int, int]:
    """A job that hangs, and its worker."""
    began = daemon.folder / name
    job = daemon.submit(task="hang", args=[str(began)], **options)
    (pid,) = daemon.until("it to hang", lambda: pids_in(began))
    return job, pid


def test_what_a_job_printed_before_its_time_was_over_is_in_its_attempt(daemon: Daemon) -> None:
    job, _ = hang(daemon, "overdue", timeout_s=0.3)
    assert daemon.ended(job)["attempts"][0]["outcome"] == "timeout"
    assert daemon.output(job) == HUNG


def test_what_a_job_printed_before_it_was_cancelled_is_in_its_attempt(daemon: Daemon) -> None:
    job, _ = hang(daemon, "cancelled")
    daemon.call(requests.Cancel(job=job))
    assert daemon.ended(job)["attempts"][0]["outcome"] == "cancelled"
    assert daemon.output(job) == HUNG


def test_what_a_job_printed_before_its_worker_was_killed_is_in_its_attempt(daemon: Daemon) -> None:
    job, pid = hang(daemon, "killed")
    os.kill(pid, signal.SIGKILL)
    assert daemon.ended(job)["attempts"][0]["outcome"] == "lost"
    assert daemon.output(job) == HUNG


@pytest.mark.parametrize("outcome", ["lost", "timeout"])
def test_what_a_job_printed_before_it_died_without_a_daemon_reaches_the_next_one(
    daemon: Daemon, outcome: str
) -> None:
    job, pid = hang(
        daemon, f"alone-{outcome}", **({"timeout_s": 1} if outcome == "timeout" else {})
    )
    end = Ends([pid])
    daemon.kill()
    if outcome == "lost":
        os.kill(pid, signal.SIGKILL)
    end.wait()
    daemon.start()
    assert daemon.ended(job)["attempts"][0]["outcome"] == outcome
    assert daemon.output(job) == HUNG


def test_lines_are_kept_when_the_template_is_dead(daemon: Daemon) -> None:
    """Printing does not fail for want of a reader."""
    began, go = daemon.folder / "orphan", daemon.folder / "go"
    job = daemon.submit(task="print_later", args=[str(began), str(go)])
    (template,) = daemon.until("it to begin", lambda: pids_in(began))
    end = Ends([template])
    os.kill(template, signal.SIGKILL)
    end.wait()
    go.touch()
    assert daemon.ended(job)["state"] == "SUCCESS"
    assert daemon.output(job) == "late\n" * 3
