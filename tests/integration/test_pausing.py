"""``pause`` and ``resume``: a command stands still whole, and nobody takes it for dead."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.cli.offline import stand_in
from jobctl.engine.local import cgroups
from jobctl.errors import Conflict, DaemonNotRunning, UsageError
from jobctl.protocol import requests
from jobctl.worker import freezer
from tests.integration.test_workers import hold
from tests.integration.test_workers_commands import NO_CGROUPS
from tests.support.configurations import functions
from tests.support.daemon import Daemon, running_daemon, with_patch
from tests.support.processes import is_running, pids_in
from tests.support.waiting import until
from tests.support.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPPING = """
echo $$ >> began
step=0
until [ -e go ]; do step=$((step+1)); echo $step > step; sleep 0.01; done
echo went
"""
"""Counts until it is told to end; a new process at each step."""

FAMILY = """
(sh -c 'echo $$ >> began; until [ -e go ]; do sleep 0.01; done' &)
setsid sh -c 'echo $$ >> began; until [ -e go ]; do sleep 0.01; done' &
echo $$ >> began
wait
until [ -e go ]; do sleep 0.01; done
"""
"""Three processes: one of them an orphan, one in a session of its own."""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with running_daemon(start=False) as stopped:
        yield stopped
        (stopped.folder / "go").touch()


def needs_freezer(daemon: Daemon) -> None:
    """Where this machine lets nobody make cgroups, there is nothing to freeze."""
    if not find_cgroup(daemon):
        pytest.skip("no cgroup of version 2 in which the daemon may make others")


def mount_point() -> Path | None:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return next((Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"), None)


def find_cgroup(daemon: Daemon) -> Path | None:
    """The cgroup of the only keeper with a job, as the kernel tells it; None where it has none."""
    keeper = next(found for found in daemon.workers("keeper") if found["attempts"])
    mount = mount_point()
    lines = Path(f"/proc/{keeper['pid']}/cgroup").read_text().splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::")), "")
    if mount is None or not path.endswith(keeper["instance"]):
        return None
    return mount / path.lstrip("/")


def begin(daemon: Daemon, line: str = STEPPING, *, count: int = 1, **options: Any) -> int:
    """Start the daemon with a job that runs."""
    if daemon.process is None:
        daemon.start()
    job = daemon.shell(line, **options)
    daemon.until("the command to run", lambda: len(pids(daemon)) == count)
    needs_freezer(daemon)
    return job


def pids(daemon: Daemon) -> list[int]:
    return pids_in(daemon.folder / "began")


def pause(daemon: Daemon, job: int) -> dict[str, Any]:
    return daemon.call(requests.PauseJob(job=job, paused=True))


def resume(daemon: Daemon, job: int) -> dict[str, Any]:
    return daemon.call(requests.PauseJob(job=job, paused=False))


def stands_still(daemon: Daemon) -> bool:
    """The kernel says that everything in the cgroup of the command is frozen."""
    folder = find_cgroup(daemon)
    assert folder is not None
    try:
        events = (folder / "paused/cgroup.events").read_text().splitlines()
    except FileNotFoundError:
        return False
    return "frozen 1" in events and set(pids(daemon)) <= paused_pids(daemon)


def paused_pids(daemon: Daemon) -> set[int]:
    folder = find_cgroup(daemon)
    assert folder is not None
    return {int(pid) for pid in (folder / "paused/cgroup.procs").read_text().split()}


def goes_on(daemon: Daemon) -> None:
    """Wait until the command has made another step."""
    file = daemon.folder / "step"
    before = file.read_text()
    daemon.until("it to go on", lambda: file.read_text() not in ("", before))


# -- standing still, going on ----------------------------------------------------------------------


def test_a_paused_command_does_nothing_until_it_is_resumed(daemon: Daemon) -> None:
    job = begin(daemon)
    (shell,) = pids(daemon)

    told = pause(daemon, job)

    assert told == {"id": job, "state": "STARTED", "paused": True}
    daemon.until("the kernel to have stopped it", lambda: stands_still(daemon))
    before = Path(f"/proc/{shell}/stat").read_text().split()[13:17]
    found = daemon.status(job)
    assert (found["state"], found["reason"], found["paused"]) == ("STARTED", "is paused", True)
    (listed,) = daemon.call(requests.List())["jobs"]
    assert (listed["reason"], listed["paused"]) == ("is paused", True)
    told = daemon.call(requests.Why(name=str(job)))["sentences"]
    assert f'It is paused; "jobctl resume {job}" lets it go on.' in told
    (daemon.folder / "go").touch()
    assert Path(f"/proc/{shell}/stat").read_text().split()[13:17] == before

    assert resume(daemon, job)["paused"] is False
    ended = daemon.ended(job)
    assert (ended["state"], ended["paused"]) == ("SUCCESS", False)
    assert daemon.output(job) == "went\n"


@pytest.mark.slow
def test_pausing_and_resuming_twice_is_the_same_as_once_and_can_be_done_again(
    daemon: Daemon,
) -> None:
    job = begin(daemon)
    for _ in range(2):
        pause(daemon, job)
        pause(daemon, job)
        daemon.until("it to stand still", lambda: stands_still(daemon))
        resume(daemon, job)
        resume(daemon, job)
        goes_on(daemon)

    assert daemon.status(job)["reason"] is None


def test_the_whole_tree_stands_still_and_its_keeper_does_not(daemon: Daemon) -> None:
    job = begin(daemon, FAMILY, count=3)

    pause(daemon, job)

    daemon.until("all to stand still", lambda: stands_still(daemon))
    assert len(set(pids(daemon)) & paused_pids(daemon)) == 3
    (keeper,) = [found for found in daemon.workers("keeper") if found["attempts"]]
    assert keeper["pid"] not in paused_pids(daemon)
    # Others start and end meanwhile.
    assert daemon.ended(daemon.shell("true"))["state"] == "SUCCESS"
    resume(daemon, job)
    (daemon.folder / "go").touch()
    assert daemon.ended(job)["state"] == "SUCCESS"


def test_a_command_in_groups_of_its_own_stands_still_in_all_of_them(tmp_path: Path) -> None:
    """With limits of memory and of processes a command lies beside its keeper under version 2."""
    line = "while :; do sleep 0.01; done"
    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(a_cgroup()) for _ in range(2)]
        processes = [stack.enter_context(running_in(folder, line)) for folder in folders]
        shared, own = map(str, folders)

        freezer.freeze(shared, 0, [own, str(tmp_path)])

        paused = [folders[0] / "paused", folders[1]]
        for folder, process in zip(paused, processes, strict=True):
            until("it to stand still", functools.partial(is_frozen, folder))
            assert str(process.pid) in (folder / "cgroup.procs").read_text().split()
        freezer.thaw(shared, [own, str(tmp_path)])
        assert not freezer.is_frozen(shared)
        until("all to go on", lambda: not is_frozen(folders[1]))
        assert str(processes[0].pid) in (folders[0] / "cgroup.procs").read_text().split()


@contextlib.contextmanager
def a_cgroup() -> Iterator[Path]:
    """A cgroup of version 2 beside the one of this process."""
    mount = mount_point()
    if mount is None:
        pytest.skip("no cgroups of version 2")
    folder = mount / f"jobctl-test-{os.urandom(6).hex()}"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("no cgroup of version 2 can be made")
    try:
        yield folder
    finally:
        (folder / "cgroup.kill").write_text("1")
        until("the cgroup to be empty", lambda: not (folder / "cgroup.procs").read_text())
        cgroups.remove(str(folder))


@contextlib.contextmanager
def running_in(folder: Path, line: str) -> Iterator[subprocess.Popen[bytes]]:
    """A shell line in a cgroup."""
    process = subprocess.Popen(["/bin/sh", "-c", f"echo $$ > {folder}/cgroup.procs; {line}"])
    procs = folder / "cgroup.procs"
    try:
        until("it to have joined", lambda: str(process.pid) in procs.read_text().split())
        yield process
    finally:
        process.kill()
        process.wait()


def is_frozen(folder: Path) -> bool:
    return "frozen 1" in (folder / "cgroup.events").read_text().splitlines()


# -- with everything else --------------------------------------------------------------------------


@pytest.mark.slow
def test_it_is_paused_still_while_no_daemon_runs_and_under_the_next_one(daemon: Daemon) -> None:
    job = begin(daemon)
    pause(daemon, job)
    daemon.until("it to stand still", lambda: stands_still(daemon))

    daemon.kill()
    with stand_in(daemon.state_dir, None, absent=DaemonNotRunning("it was killed")) as client:
        assert client.call(requests.Status(job=job))["reason"] == "is paused"
    daemon.start()

    daemon.until(
        "its keeper to be adopted", lambda: daemon.workers("keeper")[0]["phase"] == "serving"
    )
    assert stands_still(daemon)
    assert daemon.status(job)["reason"] == "is paused"
    resume(daemon, job)
    (daemon.folder / "go").touch()
    assert daemon.ended(job)["state"] == "SUCCESS"


def test_cancel_ends_a_paused_command_by_its_stop_sequence(daemon: Daemon) -> None:
    asked = 'trap "echo asked; exit 3" TERM\n'
    job = begin(daemon, asked + STEPPING)
    (shell,) = pids(daemon)
    pause(daemon, job)
    daemon.until("it to stand still", lambda: stands_still(daemon))

    told = daemon.call(requests.Cancel(job=job))

    assert (told["state"], told["gone"]) == ("REVOKED", True)
    # Before it the shell may say what became of the program that it waited for.
    assert daemon.output(job).endswith("asked\n")
    assert daemon.status(job)["attempts"][0]["exit_code"] == 3
    assert not is_running(shell)


@pytest.mark.slow
def test_the_time_in_which_it_is_paused_does_not_count_for_its_timeout(daemon: Daemon) -> None:
    limit_s = 3.0
    job = begin(daemon, timeout_s=limit_s)
    pause(daemon, job)
    paused_at = time.monotonic()
    daemon.until("the limit to be over", lambda: time.monotonic() > paused_at + limit_s)

    resume(daemon, job)

    ended = daemon.ended(job)
    assert (ended["state"], ended["reason"]) == ("FAILURE", "timed out")
    assert ended["attempts"][0]["duration_s"] > 2 * limit_s - 0.1


def test_a_deadline_counts_while_it_is_paused_and_stops_it(daemon: Daemon) -> None:
    daemon.config.write_text(
        f"[tasks.late]\ncwd = \"{daemon.folder}\"\ndeadline = '1500ms'\nshell = '''{STEPPING}'''\n"
    )
    daemon.start()
    job = daemon.submit(task="late")
    daemon.until("the command to run", lambda: pids(daemon))
    needs_freezer(daemon)
    pause(daemon, job)

    ended = daemon.ended(job)

    assert (ended["state"], ended["reason"]) == ("FAILURE", "its deadline has passed")


def test_a_command_that_somebody_kills_while_it_is_paused_ends(daemon: Daemon) -> None:
    job = begin(daemon)
    (shell,) = pids(daemon)
    pause(daemon, job)

    os.kill(shell, signal.SIGKILL)

    ended = daemon.ended(job)
    assert (ended["state"], ended["attempts"][0]["signal"]) == ("FAILURE", signal.SIGKILL)
    # Its keeper can be used again.
    assert daemon.ended(daemon.shell("true"))["state"] == "SUCCESS"


def test_a_paused_command_whose_keeper_dies_is_ended_whole(daemon: Daemon) -> None:
    job = begin(daemon, FAMILY, count=3)
    (keeper,) = [w for w in daemon.workers("keeper") if job in w["attempts"]]
    pause(daemon, job)
    daemon.until("all to stand still", lambda: stands_still(daemon))

    os.kill(keeper["pid"], signal.SIGKILL)

    (attempt,) = daemon.ended(job)["attempts"]
    assert (attempt["outcome"], attempt["proof"]) == ("lost", "cgroup")
    assert not any(is_running(pid) for pid in pids(daemon))


# -- refused ---------------------------------------------------------------------------------------


def test_without_a_cgroup_it_is_refused_and_the_command_goes_on(daemon: Daemon) -> None:
    daemon.launcher = with_patch(NO_CGROUPS)
    daemon.start()
    job = daemon.shell(STEPPING)
    daemon.until("the command to run", lambda: pids(daemon))

    with pytest.raises(Conflict, match="no cgroup that the kernel can freeze") as refusal:
        pause(daemon, job)

    assert "Delegate=yes" in refusal.value.hint
    goes_on(daemon)


def test_a_function_is_refused_with_the_reason() -> None:
    with running_daemon(functions()) as daemon:
        job, go, _ = hold(daemon)
        with pytest.raises(UsageError, match="only commands can be paused"):
            pause(daemon, job)
        go.touch()
        daemon.wait(job)


def test_what_does_not_run_is_refused(daemon: Daemon) -> None:
    daemon.start()
    job = daemon.shell("true")
    daemon.wait(job)

    with pytest.raises(Conflict, match="it does not run"):
        pause(daemon, job)


@pytest.mark.slow
def test_what_is_being_stopped_is_not_paused(daemon: Daemon) -> None:
    job = begin(daemon, 'trap "touch asked" TERM\n' + STEPPING)
    with contextlib.closing(Wire(daemon.socket)) as wire:
        wire.say({"id": 1, "do": "cancel", "job": job})
        daemon.until("it to be asked", (daemon.folder / "asked").exists)

        with pytest.raises(Conflict, match="it is being stopped"):
            pause(daemon, job)

        (daemon.folder / "go").touch()
        assert wire.hear()["ok"]["state"] == "REVOKED"
