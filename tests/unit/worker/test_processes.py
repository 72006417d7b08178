"""What the kernel says about processes and their cgroups."""

from __future__ import annotations

import os
import subprocess

from jobctl.worker import processes
from tests.support.waiting import until


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
