"""How a sweep looks for what a dead worker left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jobctl.engine.local.sweep import Sweep
from jobctl.worker import processes
from jobctl.worker.instance import create

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def noted(seen: list[int], pid: int) -> bool:
    seen.append(pid)
    return False


def test_a_sweep_of_many_processes_goes_in_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 12: a pass over 1,285 processes would hold the loop for 21 ms."""
    looked_at: list[int] = []
    monkeypatch.setattr(processes, "all_pids", lambda: list(range(2**22, 2**22 + 1285)))
    monkeypatch.setattr(processes, "carries", lambda pid, _: noted(looked_at, pid))
    sweep = Sweep(directory=tmp_path, kind="keeper", cgroup="", tokens=[1])
    counts = []
    while True:
        before = len(looked_at)
        wait_s = sweep.step()
        counts.append(len(looked_at) - before)
        if wait_s is None:
            break
        assert wait_s == 0.0
    assert sum(counts) == 2 * 1285
    assert max(counts) <= 300


def test_a_process_that_appears_between_passes_makes_the_sweep_begin_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two passes in a row must find nothing."""
    there = iter([[], [11], [11], [], []])
    killed: list[int] = []
    monkeypatch.setattr(processes, "all_pids", lambda: next(there))
    monkeypatch.setattr(processes, "carries", lambda _pid, _: True)
    monkeypatch.setattr(processes, "is_alive", lambda _pid: True)
    monkeypatch.setattr(processes, "send", lambda pid, _number: noted(killed, pid))
    sweep = Sweep(directory=tmp_path, kind="keeper", cgroup="", tokens=[1])
    waits = []
    while (wait_s := sweep.step()) is not None:
        waits.append(wait_s)
    assert killed == [11, 11]
    assert len(waits) == 4


def test_a_session_whose_number_has_a_new_leader_is_not_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobctl.engine.local import sweep as module

    monkeypatch.setattr(module, "noted_command", lambda _folder: (4242, 7, 1000))
    monkeypatch.setattr(processes, "all_pids", lambda: [4242])
    monkeypatch.setattr(processes, "session_of", lambda _pid: 4242)
    monkeypatch.setattr(processes, "carries", lambda _pid, _variable: False)
    monkeypatch.setattr(processes, "is_alive", lambda _pid: True)
    killed: list[int] = []
    monkeypatch.setattr(processes, "send", lambda pid, _number: noted(killed, pid))

    monkeypatch.setattr(module, "process_start", lambda _pid: 1001)
    sweep = Sweep(directory=tmp_path, kind="keeper", cgroup="", tokens=[7])
    while sweep.step() is not None:
        pass
    assert killed == []

    monkeypatch.setattr(module, "process_start", lambda _pid: 999)
    sweep = Sweep(directory=tmp_path, kind="keeper", cgroup="", tokens=[7])
    sweep.step()
    assert killed == [4242]


def test_only_what_belongs_to_the_user_of_a_worker_is_ended_with_its_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker of another user could name any session in its lock file, the administrator's too."""
    from jobctl.engine.local import sweep as module

    monkeypatch.setattr(module, "noted_command", lambda _folder: (4242, 7, 1000))
    monkeypatch.setattr(module, "process_start", lambda _pid: 999)
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    monkeypatch.setattr(processes, "all_pids", lambda: [4242, 4243])
    monkeypatch.setattr(processes, "session_of", lambda _pid: 4242)
    monkeypatch.setattr(processes, "uid_of", lambda pid: tmp_path.stat().st_uid + (pid == 4242))
    monkeypatch.setattr(processes, "carries", lambda _pid, _variable: False)
    monkeypatch.setattr(processes, "is_alive", lambda _pid: True)
    killed: list[int] = []
    monkeypatch.setattr(processes, "send", lambda pid, _number: noted(killed, pid))

    Sweep(directory=tmp_path, kind="keeper", cgroup="", tokens=[7]).step()

    assert killed == [4243]


def test_whoever_holds_the_lock_of_a_dead_function_worker_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork by C code, in a session of its own, shows nothing but the lock."""
    instance = create(str(tmp_path / "worker"))
    lock = f"{tmp_path}/worker/lock"
    killed: list[int] = []

    def kill(pid: int, _number: int) -> bool:
        killed.append(pid)
        instance.close()
        return True

    monkeypatch.setattr(processes, "all_pids", lambda: [] if killed else [76, 77])
    monkeypatch.setattr(processes, "session_of", lambda pid: pid)
    monkeypatch.setattr(processes, "carries", lambda _pid, _variable: False)
    monkeypatch.setattr(processes, "has_open", lambda pid, path: (pid, path) == (77, lock))
    monkeypatch.setattr(processes, "is_alive", lambda _pid: True)
    monkeypatch.setattr(processes, "send", kill)
    sweep = Sweep(directory=tmp_path / "worker", kind="function", cgroup="", tokens=[1])
    for _ in range(10):
        if sweep.step() is None:
            break
    assert killed == [77]


def test_who_has_a_file_open_is_known(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w"):
        assert processes.has_open(os.getpid(), str(path))
    assert not processes.has_open(os.getpid(), str(path))
    assert not processes.has_open(2**22 + 1, str(path))
