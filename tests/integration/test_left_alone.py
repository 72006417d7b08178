"""Nobody follows a killed daemon: who has nothing to do leaves, who has something leaves afterwards.

Each wait is for the end of named processes, which the kernel announces.
"""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from jobctl.worker.instance import noted_end
from tests.integration.test_traps import templates
from tests.integration.test_workers import hold
from tests.integration.test_workers_commands import NO_CGROUPS, keeper_of, started
from tests.support.configurations import functions
from tests.support.daemon import running_daemon, with_patch
from tests.support.processes import Ends, is_running
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

IMPATIENT = "from jobctl.engine.local import template; template.PATIENCE_S = 0.3"


def pids_of(daemon: Daemon) -> set[int]:
    """Everything that the daemon has started, once all of it serves."""
    daemon.until(
        "everybody to serve",
        lambda: (
            {w["phase"] for w in daemon.workers()} == {"serving"} and len(templates(daemon)) == 2
        ),
    )
    return {*templates(daemon).values(), *(w["pid"] for w in daemon.workers())}


@pytest.mark.slow
def test_idle_processes_leave_when_no_daemon_follows() -> None:
    with running_daemon(functions(), start=False) as daemon:
        daemon.launcher = with_patch(IMPATIENT)
        daemon.start()
        daemon.ended(daemon.submit(task="double", args=[1], typed=True))
        daemon.ended(daemon.shell("true"))
        ours = pids_of(daemon)
        assert len(ours) >= 5
        ends = Ends(ours)

        daemon.kill()

        ends.wait()
        daemon.start()
        assert daemon.ended(daemon.submit(task="double", args=[4], typed=True))["result"] == 8
        assert daemon.ended(daemon.shell("true"))["state"] == "SUCCESS"
        assert not pids_of(daemon) & ours


@pytest.mark.slow
def test_with_a_daemon_nobody_leaves() -> None:
    with running_daemon(functions(), start=False) as daemon:
        daemon.launcher = with_patch(IMPATIENT)
        daemon.start()
        ours = pids_of(daemon)
        daemon.kill()
        daemon.start()
        ours = pids_of(daemon)
        # Longer than their patience is.
        daemon.ended(daemon.shell("sleep 0.7"))
        assert ours <= pids_of(daemon)


@pytest.mark.slow
def test_who_is_busy_leaves_after_its_attempt_and_its_parent_with_it() -> None:
    with running_daemon(functions(), start=False) as daemon:
        daemon.launcher = with_patch(IMPATIENT)
        daemon.start()
        job, go, worker = hold(daemon)
        command, _ = started(daemon, "until [ -e go ]; do sleep 0.01; done; echo done; exit 6")
        keeper = keeper_of(daemon, command)["pid"]
        ours = pids_of(daemon)
        busy = {worker, keeper, *templates(daemon).values()}
        idle = Ends(ours - busy)
        assert ours - busy
        ends = Ends(busy)

        daemon.kill()

        idle.wait()
        assert all(is_running(pid) for pid in busy)
        go.touch()
        (daemon.folder / "go").touch()
        ends.wait()
        assert len(list(daemon.state_dir.glob("run/*/outcomes/*.json"))) == 2
        daemon.start()
        assert daemon.ended(job)["result"] == "went"
        (attempt,) = daemon.ended(command)["attempts"]
        assert (attempt["exit_code"], attempt["output_tail"]) == (6, "done\n")


@pytest.mark.slow
def test_how_a_worker_died_is_known_although_its_parent_has_left() -> None:
    """Trap 18: only the parent learns it, and writes it down."""
    with running_daemon(functions(), start=False) as daemon:
        daemon.launcher = with_patch(IMPATIENT)
        daemon.start()
        job, _, worker = hold(daemon)
        ends = Ends(pids_of(daemon))
        daemon.kill()
        os.kill(worker, signal.SIGKILL)
        ends.wait()

        daemon.start()

        (attempt,) = daemon.ended(job)["attempts"]
        assert (attempt["outcome"], attempt["signal"]) == ("lost", signal.SIGKILL)
        assert "killed by SIGKILL" in attempt["error"]["message"]


def test_in_a_deleted_state_directory_nobody_stays() -> None:
    """With the patience of every day: it is the deletion that they go by."""
    with running_daemon(functions(), start=False) as daemon:
        # Nobody is left who could remove a cgroup.
        daemon.launcher = with_patch(NO_CGROUPS)
        daemon.start()
        _, go, worker = hold(daemon)
        command, _ = started(daemon, "until [ -e go ]; do sleep 0.01; done; echo done")
        keeper = keeper_of(daemon, command)["pid"]
        busy = {worker, keeper, *templates(daemon).values()}
        idle, ends = Ends(pids_of(daemon) - busy), Ends(busy)
        shutil.rmtree(daemon.state_dir)

        daemon.kill()

        idle.wait()
        assert all(is_running(pid) for pid in busy)
        go.touch()
        (daemon.folder / "go").touch()
        ends.wait()
        assert not daemon.state_dir.exists()
        daemon.socket.unlink()


@pytest.mark.slow
def test_an_outcome_finds_a_state_directory_that_was_moved() -> None:
    with running_daemon(functions(), start=False) as daemon:
        daemon.launcher = with_patch(IMPATIENT)
        daemon.start()
        job, go, worker = hold(daemon)
        command, _ = started(daemon, "until [ -e go ]; do sleep 0.01; done; echo done; exit 6")
        ends = Ends(pids_of(daemon))
        daemon.kill()
        daemon.state_dir = daemon.state_dir.rename(daemon.folder / "elsewhere")
        go.touch()
        (daemon.folder / "go").touch()
        ends.wait()
        assert is_running(worker) is False

        daemon.start()

        assert daemon.ended(job)["result"] == "went"
        assert daemon.ended(command)["attempts"][0]["exit_code"] == 6


@pytest.mark.slow
def test_an_outcome_that_no_disk_took_is_kept_until_one_does() -> None:
    with running_daemon(start=False) as daemon:
        daemon.launcher = with_patch(IMPATIENT)
        daemon.start()
        command, pid = started(daemon, "until [ -e go ]; do sleep 0.01; done; exit 6")
        keeper = keeper_of(daemon, command)
        ends = Ends([keeper["pid"], templates(daemon)["keeper"]])
        (folder,) = daemon.state_dir.glob(f"run/*/{keeper['instance']}")
        outcomes = folder.parent / "outcomes"
        daemon.kill()
        away = outcomes.rename(outcomes.with_name("away"))
        outcomes.write_text("a file in the place of the folder")
        (daemon.folder / "go").touch()
        until("the command to end", lambda: not is_running(pid))
        outcomes.unlink()
        away.rename(outcomes)

        ends.wait()

        assert noted_end(str(folder)) == 0
        assert len(list(outcomes.glob("*.json"))) == 1
        daemon.start()
        assert daemon.ended(command)["attempts"][0]["exit_code"] == 6


@pytest.mark.slow
def test_a_dead_worker_s_folder_goes_whatever_lies_in_it_and_over_restarts() -> None:
    with running_daemon(functions()) as daemon:
        pids_of(daemon)
        (worker, *_) = daemon.workers("function")
        (folder,) = daemon.state_dir.glob(f"run/*/{worker['instance']}")
        for number in range(3000):
            (folder / f"of a job {number}").touch()
        os.kill(worker["pid"], signal.SIGKILL)
        daemon.until("it to be put away", lambda: not folder.exists())
        daemon.kill()
        # What a killed daemon leaves, however far it has come.
        left = daemon.state_dir / "run" / "0123.trash"
        left.mkdir()
        for number in range(1000):
            (left / str(number)).touch()

        daemon.start()

        daemon.until("it to be gone", lambda: not list(daemon.state_dir.glob("run/*.trash")))
        assert daemon.ended(daemon.submit(task="double", args=[4], typed=True))["result"] == 8
