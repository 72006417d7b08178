"""Limits of a command as a whole, kept by control groups of this host: memory, and the number of processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.engine.local import cgroups, corners
from jobctl.errors import JobctlError
from jobctl.protocol import requests
from tests.integration.test_workers_commands import keeper_of
from tests.support.daemon import Daemon, running_daemon, with_patch
from tests.support.processes import is_running, pids_in

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
NO_CORNERS = (
    "from jobctl.engine.local import cgroups; missing = {'memory': 'nobody has one', 'pids': 'nor that'}; "
    "cgroups.find = lambda _: cgroups.Cgroups(None, {}, missing)"
)
NO_UNIFIED = "from jobctl.engine.local import cgroups; cgroups._find_base = lambda _: None"
HOLD = """
import pathlib, sys, time
here = pathlib.Path(sys.argv[1])
held = b"x" * (int(sys.argv[3]) << 20)
(here / sys.argv[2]).touch()
while not (here / "go").exists():
    time.sleep(0.01)
more = b"x" * (int((sys.argv[4:] or ["0"])[0]) << 20)
"""
"""Holds so many MiB, says so, waits to be told to go on, and holds so many more."""
FORK = """
import subprocess
found = []
try:
    while len(found) < 50:
        found.append(subprocess.Popen(["sleep", "3600"]))
except OSError as error:
    print(len(found), error.strerror)
for one in found:
    one.kill()
"""
TASKS = """
    [tasks.greedy]
    shell = 'exec "$PYTHON" hold.py . greedy 200'
    memory = "64MiB"
    [tasks.parent]
    shell = '"$PYTHON" hold.py . greedy 200; exit $?'
    memory = "64MiB"
    [tasks.pair]
    shell = '"$PYTHON" hold.py . a 40 & "$PYTHON" hold.py . b 40 & wait'
    memory = "256MiB"
    [tasks.grows]
    shell = 'exec "$PYTHON" hold.py . grows 60 200'
    memory = "128MiB"
    [tasks.sleeps]
    shell = 'echo $$ > sleeps; exec sleep 3600'
    memory = "64MiB"
    [tasks.sheds]
    shell = 'setsid env -i sh -c "echo \\$\\$ > shed; exec sleep 3600" & exec sleep 3600'
    processes = 100
    memory = "64MiB"
    [tasks.leaves]
    shell = 'sleep 3600 & echo $! > leaves'
    memory = "64MiB"
    [tasks.forks]
    shell = 'exec "$PYTHON" fork.py'
    processes = 5
    [tasks.who]
    shell = "id -u; grep -c . /proc/self/cgroup"
    user = "nobody"
    memory = "64MiB"
"""


def _missing() -> bool:
    found = cgroups.find(f"try-{os.getpid()}")
    found.close()
    return bool(found.missing)


pytestmark = pytest.mark.skipif(_missing(), reason="the controllers memory and pids are not ours")


@contextlib.contextmanager
def daemon_with_limits(patch: str = "") -> Iterator[Daemon]:
    """A daemon with these tasks, all of them in its folder."""
    with running_daemon(start=False) as daemon:
        (daemon.folder / "hold.py").write_text(HOLD)
        (daemon.folder / "fork.py").write_text(FORK)
        here = f'cwd = "{daemon.folder}"\nenv = {{ PYTHON = "{sys.executable}" }}\n    [tasks.'
        text = TASKS.replace("    [tasks.", here).replace(here, "    [tasks.", 1)
        daemon.config.write_text(text.rstrip() + '\ncwd = "/"\n')
        if patch:
            daemon.launcher = with_patch(patch)
        yield daemon.start()


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with daemon_with_limits() as started:
        yield started


def groups_of(keeper: dict[str, Any]) -> list[Path]:
    """The groups that this keeper's attempts have now."""
    return [
        Path(folder)
        for hierarchy in corners.hierarchies()
        for folder, _, _ in os.walk(hierarchy.point)
        if Path(folder).name.startswith(f"{keeper['instance']}.")
    ]


def running(daemon: Daemon, task: str, sign: str | None = None) -> tuple[int, dict[str, Any]]:
    """A job of a task that has given its sign, and its keeper."""
    job = daemon.submit(task=task)
    daemon.until("the command's sign", lambda: (daemon.folder / (sign or task)).exists())
    return job, keeper_of(daemon, job)


@pytest.mark.parametrize(
    ("task", "end"), [("greedy", {"signal": 9}), ("parent", {"exit_code": 137})]
)
def test_a_command_that_needs_more_memory_than_it_may_is_ended_and_says_so(
    daemon: Daemon, task: str, end: dict[str, int]
) -> None:
    ended = daemon.ended(daemon.submit(task=task))
    assert ended["state"] == "FAILURE"
    (attempt,) = ended["attempts"]
    assert end.items() <= attempt.items()
    assert attempt["error"]["type"] == "OutOfMemory"
    assert "because it reached its limit, memory = 64MiB" in attempt["error"]["message"]
    assert 60 * MIB < attempt["peak_memory_bytes"] <= 64 * MIB
    assert attempt["ran_with"]["bounds"] == {"memory": 64 * MIB}


def test_the_peak_is_of_all_processes_together_and_below_the_limit_nothing_ends(
    daemon: Daemon,
) -> None:
    job, keeper = running(daemon, "pair", "a")
    daemon.until("the other one", lambda: (daemon.folder / "b").exists())
    assert len(groups_of(keeper)) == 1
    (daemon.folder / "go").touch()
    (attempt,) = daemon.ended(job)["attempts"]
    (daemon.folder / "go").unlink()
    assert attempt["outcome"] == "success"
    assert attempt["max_rss_bytes"] < 80 * MIB < attempt["peak_memory_bytes"] < 256 * MIB
    assert not groups_of(keeper)
    without = daemon.ended(daemon.shell("true"))["attempts"][0]
    assert without["peak_memory_bytes"] is None


def test_another_kill_is_not_taken_for_want_of_memory(daemon: Daemon) -> None:
    job, _ = running(daemon, "sleeps")
    (pid,) = daemon.until("its pid", lambda: pids_in(daemon.folder / "sleeps"))
    os.kill(pid, signal.SIGKILL)
    (attempt,) = daemon.ended(job)["attempts"]
    assert (attempt["outcome"], attempt["signal"]) == ("failure", signal.SIGKILL)
    assert attempt["error"] is None


def test_a_command_has_no_more_processes_than_it_may_root_s_too(daemon: Daemon) -> None:
    job = daemon.submit(task="forks")
    daemon.ended(job)
    assert daemon.output(job) == "4 Resource temporarily unavailable\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_command_of_another_user_is_put_into_its_group_before_it_is_that_user(
    daemon: Daemon,
) -> None:
    job = daemon.submit(task="who")
    (attempt,) = daemon.ended(job)["attempts"]
    assert daemon.output(job).startswith("65534\n")
    assert attempt["peak_memory_bytes"] > 0


def test_what_is_left_running_keeps_its_limit_and_its_group_goes_with_it(daemon: Daemon) -> None:
    job = daemon.submit(task="leaves")
    (attempt,) = daemon.ended(job)["attempts"]
    (left,) = pids_in(daemon.folder / "leaves")
    (group,) = groups_of({"instance": attempt["worker"]})
    assert str(left) in (group / "cgroup.procs").read_text().split()
    os.kill(left, signal.SIGKILL)
    daemon.until("the group to go", lambda: not group.exists())


@pytest.mark.slow
def test_the_next_daemon_finds_limit_and_peak_as_they_were() -> None:
    with daemon_with_limits() as daemon:
        job, keeper = running(daemon, "grows")
        (group,) = groups_of(keeper)
        daemon.kill()
        assert group.is_dir()

        daemon.start()
        (daemon.folder / "go").touch()

        (attempt,) = daemon.ended(job)["attempts"]
        assert attempt["error"]["type"] == "OutOfMemory"
        assert attempt["peak_memory_bytes"] > 120 * MIB
        assert not group.exists()


@pytest.mark.parametrize("has_daemon", [True, False])
def test_what_a_killed_keeper_s_command_hid_is_found_in_its_group(has_daemon: bool) -> None:
    """Session and environment are shed; the keeper has no cgroup of its own here."""
    with daemon_with_limits(NO_UNIFIED) as daemon:
        job, keeper = running(daemon, "sheds", "shed")
        (hidden,) = daemon.until("its pid", lambda: pids_in(daemon.folder / "shed"))
        groups = groups_of(keeper)
        if not has_daemon:
            daemon.kill()
        os.kill(keeper["pid"], signal.SIGKILL)
        if not has_daemon:
            assert is_running(hidden)
            daemon.start()

        (attempt,) = daemon.ended(job)["attempts"]

        assert (attempt["outcome"], attempt["proof"]) == ("lost", "cgroup")
        assert not is_running(hidden)
        daemon.until("the groups to go", lambda: not any(group.exists() for group in groups))


@pytest.mark.slow
def test_where_no_group_can_be_made_the_attempt_says_so_and_a_reload_is_refused() -> None:
    with running_daemon('[tasks.a]\ncommand = ["true"]\nmemory = "64MiB"\n', start=False) as daemon:
        daemon.launcher = with_patch(NO_CORNERS)
        daemon.start()
        assert "a limit cannot be kept" in daemon.log()
        assert "memory cannot be kept here: nobody has one" in daemon.log()
        (attempt,) = daemon.ended(daemon.submit(task="a"))["attempts"]
        assert attempt["error"]["type"] == "LimitRefused"
        assert attempt["error"]["message"].startswith("memory = 64MiB: the daemon can make no")
        assert daemon.ended(daemon.shell("true"))["state"] == "SUCCESS"
        with pytest.raises(JobctlError, match=r"jobctl.toml:1: .*memory cannot be kept here"):
            daemon.call(requests.Reload())
        daemon.config.write_text("[daemon]\n")
        daemon.call(requests.Reload())
