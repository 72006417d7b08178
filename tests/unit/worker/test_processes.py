"""What the kernel says about processes and their cgroups."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from jobctl.worker import processes
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


def test_kills_for_want_of_memory_are_read_where_somebody_counts_them(tmp_path: Path) -> None:
    inner = tmp_path / "service" / "jobctl-1" / "worker"
    inner.mkdir(parents=True)
    assert processes.oom_kills("") == 0
    assert processes.oom_kills(str(inner)) == 0
    outer = tmp_path / "service" / "memory.events"
    outer.write_text("low 0\nhigh 0\nmax 3\noom 2\noom_kill 2\noom_group_kill 0\n")
    assert processes.oom_kills(str(inner)) == 2
    (inner / "memory.events").write_text("oom 7\noom_kill 7\n")
    assert processes.oom_kills(str(inner)) == 7
    (inner / "memory.events").write_text("")
    assert processes.oom_kills(str(inner)) == 0


def test_this_process_is_described_as_it_is() -> None:
    me = os.getpid()
    assert processes.is_alive(me)
    assert processes.uid_of(me) == os.getuid()
    assert processes.session_of(me) == os.getsid(0)
    assert me in processes.children(os.getppid())
    assert me in processes.all_pids()


def test_a_tree_is_ended_whole_although_it_grows_again_where_it_is_cut() -> None:
    loop = "while :; do sleep 3600; done"
    root = subprocess.Popen(["/bin/sh", "-c", f"({loop}) & ({loop}) & {loop}"])
    until("all of the tree", lambda: len(processes.descendants(root.pid)) == 5)
    tree = [root.pid, *processes.descendants(root.pid)]

    processes.end_tree(root.pid)

    assert root.wait() == -9
    until("nothing of it to be left", lambda: not any(map(processes.is_alive, tree)))


def test_a_process_that_is_not_there_is_nothing() -> None:
    nobody = 2**22 + 1
    assert not processes.is_alive(nobody)
    assert processes.uid_of(nobody) == -1
    assert processes.session_of(nobody) == 0
    assert processes.children(nobody) == []
    assert not processes.send(nobody, 0)
    assert not processes.carries(nobody, b"A=b")
    assert processes.in_cgroup("/no/such/cgroup") == []
