"""Control groups of one attempt, with both versions' files in folders of this test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from jobctl.worker import bounds
from jobctl.worker.bounds import Bounds
from jobctl.worker.failure import CannotStart

UNIFIED = {
    "cgroup.procs": "",
    "memory.max": "max",
    "memory.swap.max": "max",
    "memory.oom.group": "0",
    "memory.peak": "0",
    "memory.events": "low 0\noom 0\noom_kill 0\noom_group_kill 0\n",
    "pids.max": "max",
}
MEMORY_1 = {
    "cgroup.procs": "",
    "memory.limit_in_bytes": "9223372036854771712",
    "memory.memsw.limit_in_bytes": "9223372036854771712",
    "memory.max_usage_in_bytes": "0",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
}
PIDS_1 = {"cgroup.procs": "", "pids.max": "max"}


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """Puts its files into each group that is made, by corner; and takes them away with the group."""
    files: dict[str, dict[str, str]] = {}
    make, remove = os.mkdir, os.rmdir

    def fill(path: str, mode: int = 0o777) -> None:
        make(path, mode)
        for name, text in files.get(str(Path(path).parent), {}).items():
            (Path(path) / name).write_text(text)

    def empty(path: str) -> None:
        for name in files[str(Path(path).parent)]:
            (Path(path) / name).unlink()
        remove(path)

    monkeypatch.setattr(os, "mkdir", fill)
    monkeypatch.setattr(os, "rmdir", empty)
    return files


@pytest.fixture
def corner(tmp_path: Path, kernel: dict[str, Any]) -> Path:
    kernel[str(tmp_path)] = UNIFIED
    return tmp_path


def said(folder: str | Path, name: str) -> str:
    return (Path(folder) / name).read_text().strip()[:8]


def test_one_group_of_version_2_keeps_both_limits_and_no_swap(corner: Path) -> None:
    corners = {"memory": str(corner), "pids": str(corner)}
    made = Bounds(corners, "abc", 255, {"memory": 1 << 26, "processes": 7})
    assert made.folders == [str(corner / "abc.00000000000000ff")]
    (group,) = made.folders
    assert said(group, "memory.max").startswith("67108864")
    assert said(group, "memory.swap.max").startswith("0")
    assert said(group, "memory.oom.group").startswith("1")
    assert said(group, "pids.max").startswith("7")
    (Path(group) / "memory.peak").write_text("4321\n")
    (Path(group) / "memory.events").write_text("oom 2\noom_kill 1\n")
    assert (made.peak_bytes(), made.oom_kills()) == (4321, 1)
    bounds.join(made.folders)
    assert said(group, "cgroup.procs") == "0"
    made.remove()
    assert not any(corner.iterdir())


def test_version_1_has_a_group_in_each_hierarchy(tmp_path: Path, kernel: dict[str, Any]) -> None:
    corners = {name: str(tmp_path / name) for name in ("memory", "pids")}
    for (name, corner), files in zip(corners.items(), (MEMORY_1, PIDS_1), strict=True):
        (tmp_path / name).mkdir()
        kernel[corner] = files
    made = Bounds(corners, "abc", 1, {"memory": 1 << 26, "processes": 7})
    memory, pids = made.folders
    assert said(memory, "memory.limit_in_bytes") == "67108864"
    assert said(memory, "memory.memsw.limit_in_bytes") == "67108864"
    assert said(pids, "pids.max").startswith("7")
    (Path(memory) / "memory.max_usage_in_bytes").write_text("99\n")
    (Path(memory) / "memory.oom_control").write_text("under_oom 0\noom_kill 3\n")
    assert (made.peak_bytes(), made.oom_kills()) == (99, 3)
    made.remove()
    assert not [*tmp_path.glob("*/*")]


def test_an_older_kernel_keeps_the_limit_and_counts_less(
    corner: Path, kernel: dict[str, Any]
) -> None:
    kernel[str(corner)] = {"cgroup.procs": "", "memory.max": "max", "memory.events": "oom 0\n"}
    made = Bounds({"memory": str(corner)}, "abc", 1, {"memory": 1 << 26})
    assert said(made.folders[0], "memory.max") == "67108864"
    assert (made.peak_bytes(), made.oom_kills()) == (None, 0)


def test_a_limit_that_cannot_be_kept_is_refused_and_leaves_nothing(
    corner: Path, kernel: dict[str, Any]
) -> None:
    asked = {"memory": 65 << 20, "processes": 7}
    with pytest.raises(CannotStart, match=r'processes = 7: .*the controller "pids"'):
        Bounds({"memory": str(corner)}, "abc", 1, asked)
    assert not any(corner.iterdir())
    kernel[str(corner)] = {"memory.peak": "0"}
    with pytest.raises(CannotStart, match=r"memory = 65MiB: .*No such file"):
        Bounds({"memory": str(corner)}, "abc", 1, asked)
    assert not any(corner.iterdir())
    with pytest.raises(CannotStart, match=r"memory = 5000001B: .*No such file"):
        Bounds({"memory": str(corner / "gone")}, "abc", 1, {"memory": 5_000_001})


def test_kills_for_want_of_memory_are_read_where_somebody_counts_them(tmp_path: Path) -> None:
    inner = tmp_path / "service" / "jobctl-1" / "worker"
    inner.mkdir(parents=True)
    assert bounds.oom_counter("", {}) == ""
    assert bounds.oom_counter(str(inner), {}) == ""
    outer = tmp_path / "service"
    (outer / "memory.events").write_text("low 0\nmax 3\noom 2\noom_kill 2\noom_group_kill 0\n")
    assert bounds.oom_counter(str(inner), {}) == str(outer)
    assert bounds.oom_kills(str(outer)) == 2
    (inner / "memory.events").write_text("oom 7\noom_kill 7\n")
    assert bounds.oom_counter(str(inner), {}) == str(inner)
    (inner / "memory.events").write_text("")
    assert bounds.oom_kills(str(inner)) is None


def test_in_version_1_the_group_around_the_corner_counts_them(tmp_path: Path) -> None:
    (tmp_path / "memory.oom_control").write_text("under_oom 0\noom_kill 4\n")
    counter = bounds.oom_counter("", {"memory": str(tmp_path / "jobctl-1")})
    assert bounds.oom_kills(counter) == 4
