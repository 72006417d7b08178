"""Where groups with limits are made: the hierarchies of both versions, read and written as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobctl.engine.local.corners import Hierarchy, Unavailable, find, read_mounts

MOUNTS_1 = """\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
33 31 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 31 0:38 / /elsewhere rw,relatime - cgroup2 cgroup2 rw
"""
OWN_1 = {
    frozenset({"memory"}): "/box/abc",
    frozenset({"cpu", "cpuacct"}): "/docker/abc/in",
    frozenset({"name=systemd"}): "/",
    frozenset[str](): "/mine",
}


def test_each_hierarchy_is_read_with_this_process_s_group() -> None:
    found = {h.controllers: h for h in read_mounts(MOUNTS_1, OWN_1)}
    assert found[frozenset({"memory"})].own == Path("/sys/fs/cgroup/memory/box/abc")
    assert found[frozenset({"cpu", "cpuacct"})].own == Path("/sys/fs/cgroup/cpu,cpuacct/in"), (
        "a container sees a part of the hierarchy"
    )
    unified = found[frozenset()]
    assert (unified.point, unified.own) == (
        Path("/sys/fs/cgroup/unified"),
        Path("/sys/fs/cgroup/unified/mine"),
    )


def group(folder: Path, controllers: str, subtree: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.controllers").write_text(f"{controllers}\n")
    (folder / "cgroup.subtree_control").write_text(f"{subtree}\n")
    return folder


def unified(root: Path, own: str) -> list[Hierarchy]:
    return [Hierarchy(point=root, controllers=frozenset(), own=root / own)]


def test_version_1_has_its_corner_below_the_daemon_s_own_group(tmp_path: Path) -> None:
    own = tmp_path / "box"
    own.mkdir()
    known = [Hierarchy(point=tmp_path, controllers=frozenset({"memory"}), own=own)]
    assert find("memory", "jobctl-1", known) == own / "jobctl-1"
    nested = [Hierarchy(point=tmp_path, controllers=frozenset({"memory"}), own=own / "jobctl-7/k")]
    assert find("memory", "jobctl-1", nested) == own / "jobctl-1", "started from within a job"
    with pytest.raises(Unavailable, match='no hierarchy of control groups with "pids"'):
        find("pids", "jobctl-1", known)


def test_a_daemon_in_a_leaf_of_its_own_has_its_corner_beside_it(tmp_path: Path) -> None:
    service = group(tmp_path / "jobctl.service", "memory pids", "memory")
    group(service / "jobctl-1", "memory")
    corner = find("memory", "jobctl-1", unified(tmp_path, "jobctl.service/daemon"))
    assert corner == service / "jobctl-1"
    assert (corner / "cgroup.subtree_control").read_text() == "+memory"


def test_where_processes_live_nothing_is_handed_on_and_the_root_is_next(tmp_path: Path) -> None:
    """A service manager could not start the next daemon in the group that this one was started in."""
    group(tmp_path, "memory", "memory")
    service = group(tmp_path / "jobctl.service", "memory")
    (service / "cgroup.type").write_text("domain\n")
    (service / "cgroup.procs").write_text("17\n")
    group(tmp_path / "jobctl-1", "memory", "memory")
    known = unified(tmp_path, "jobctl.service")
    assert find("memory", "jobctl-1", known) == tmp_path / "jobctl-1"
    assert (service / "cgroup.subtree_control").read_text() == "\n"
    (tmp_path / "cgroup.controllers").write_text("pids")
    with pytest.raises(Unavailable) as told:
        find("memory", "jobctl-1", known)
    assert 'jobctl.service" cannot hand "memory" on: processes live in it;' in str(told.value)
    assert f'"{tmp_path}" does not have the controller "memory"' in str(told.value)
