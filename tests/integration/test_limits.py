"""The time limits of functions, which nobody but their worker's template has to keep."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.worker import kernel
from jobctl.worker.limits import deadline_us, end_overdue, set_alarm
from jobctl.worker.marks import RETURNED, RUNNING, TIMED_OUT, Marks, read_marks
from jobctl.worker.processes import end_tree
from tests.integration.test_workers import attempts, hold
from tests.support.configurations import functions
from tests.support.daemon import running_daemon
from tests.support.processes import is_running, pids_in, status
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator


def wait_for_end(pidfd: int, limit_s: float) -> None:
    """Wait until the kernel says that a process has ended."""
    ready, _, _ = select.select([pidfd], [], [], limit_s * PATIENCE)
    os.close(pidfd)
    assert ready, "the process has not ended"


# -- with processes of the program -------------------------------------------------------------------


def test_a_limit_is_kept_while_no_daemon_runs_and_the_next_one_records_it() -> None:
    with running_daemon(functions({"fork_and_hold": "retries = 1\nretry_delay = 0"})) as daemon:
        job, _, _ = hold(daemon, "fork_and_hold", timeout_s=1.5)
        (began,) = daemon.folder.glob("began-*")
        daemon.until("function and fork", lambda: len(pids_in(began)) == 2)
        tree = pids_in(began)
        (holder,) = [w for w in daemon.workers("function") if job in w["attempts"]]
        pidfd = os.pidfd_open(holder["pid"])
        daemon.kill()

        wait_for_end(pidfd, 20)

        # Its fork was killed before it, and may take longer to go.
        until("the whole tree to be gone", lambda: not any(is_running(pid) for pid in tree))
        ended_us = time.time_ns() // 1000
        daemon.start()
        first, second = attempts(daemon, job)
        assert first["outcome"] == second["outcome"] == "timeout"
        assert first["error"]["message"] == "stopped at its time limit"
        assert first["duration_s"] > 1.4
        assert first["finished_at"] <= ended_us
        assert daemon.status(job)["reason"] == "timed out"


def test_a_limit_is_kept_by_the_daemon_when_the_template_is_dead() -> None:
    with running_daemon(functions()) as daemon:
        job, _, pid = hold(daemon, timeout_s=1.0)
        os.kill(int(status(pid)["PPid"]), signal.SIGKILL)

        (attempt,) = attempts(daemon, job)

        assert attempt["outcome"] == "timeout"
        assert not is_running(pid)


def test_a_job_within_its_limit_is_left_alone_and_so_is_the_next_one() -> None:
    with running_daemon(functions(group="processes = 1\n")) as daemon:
        limited = daemon.submit(task="double", args=[1], typed=True, timeout_s=0.5)
        assert daemon.ended(limited)["result"] == 2
        job, go, pid = hold(daemon)
        begin = time.monotonic()
        daemon.until("the first limit to be over", lambda: time.monotonic() > begin + 1.0)
        go.touch()
        assert daemon.ended(job)["result"] == "went"
        assert is_running(pid)


# -- with a process that plays the worker --------------------------------------------------------------


class Played:
    """A worker's marks and timer, and a child with a child of its own that stands for the worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.marks = Marks(self.folder)
        self.timer = kernel.make_timer()
        self.process = subprocess.Popen(["/bin/sh", "-c", "sleep 3600 & wait"])

    def begin(self, token: int, limit_us: int) -> int:
        """Begin a job with a limit."""
        deadline = deadline_us(limit_us)
        slot = self.marks.begin(token, token, 1, deadline)
        set_alarm(self.timer, deadline)
        return slot

    def let_it_go_off(self) -> None:
        """Wait for the timer, then do what a template does."""
        assert select.select([self.timer], [], [], 20 * PATIENCE)[0]
        end_overdue(self.folder, self.process.pid, self.timer)

    @property
    def lives(self) -> bool:
        """The worker has not been ended."""
        return is_running(self.process.pid)


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    found = Played(tmp_path)
    yield found
    end_tree(found.process.pid)
    found.process.wait()
    os.close(found.timer)


def test_an_attempt_over_its_limit_is_marked_and_its_tree_ended(played: Played) -> None:
    played.begin(1, 10_000)
    played.let_it_go_off()
    assert played.process.wait() == -signal.SIGKILL
    assert read_marks(played.folder)[1].how == TIMED_OUT


def test_an_attempt_that_has_ended_in_time_is_not_touched(played: Played) -> None:
    played.marks.end(played.begin(1, 10_000), 2, b"1")
    played.let_it_go_off()
    assert played.lives
    assert read_marks(played.folder)[1].how == RETURNED


def test_the_timer_of_an_earlier_job_waits_for_the_limit_of_the_later_one(played: Played) -> None:
    """User code had closed the worker's descriptor: nobody stopped the timer, nor set it again."""
    deadline = deadline_us(200_000)
    played.marks.begin(2, 2, 1, deadline)
    set_alarm(played.timer, deadline_us(1_000))
    played.let_it_go_off()
    assert played.lives
    played.let_it_go_off()
    assert played.process.wait() == -signal.SIGKILL
    assert time.monotonic_ns() // 1000 >= deadline


def test_of_many_that_run_the_one_is_ended_whose_limit_is_over_first(played: Played) -> None:
    played.begin(1, 60_000_000)
    played.begin(2, 10_000)
    played.let_it_go_off()
    found = read_marks(played.folder)
    assert (found[1].how, found[2].how) == (RUNNING, TIMED_OUT)


def test_a_timer_that_was_stopped_or_is_none_says_nothing(played: Played) -> None:
    played.begin(1, 1_000_000)
    set_alarm(played.timer, 0)
    end_overdue(played.folder, played.process.pid, played.timer)
    assert played.lives
    set_alarm(-1, 5)
    with Path("/dev/null").open("rb") as other:
        set_alarm(other.fileno(), 5)


def test_a_limit_may_be_longer_than_the_kernel_can_count(played: Played) -> None:
    played.begin(1, 1 << 70)
    assert not select.select([played.timer], [], [], 0)[0]
