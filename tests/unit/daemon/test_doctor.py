"""What a look at the host is judged to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jobctl.daemon.doctor.facts import Disk, Facts, Interpreter, Place
from jobctl.daemon.doctor.findings import Level, has_wal_reset_bug, judge

STATE = Place(path="/s", uid=0, mode=0o711, is_writable=True)
FILE = Place(path="/f", uid=0, mode=0o600, is_writable=True)
GIB = 1 << 30
DISK = Disk(
    kind="ext4",
    size_bytes=100 * GIB,
    free_bytes=50 * GIB,
    inodes=10**6,
    free_inodes=10**6,
    is_read_only=False,
)
WELL = Facts(
    uid=0,
    python=(3, 11, 2),
    kernel=(6, 1),
    sqlite="3.54.1",
    state=STATE,
    parent=STATE,
    disk=DISK,
    store=FILE,
    config=FILE,
    config_path="/f",
    problems=(),
    socket=FILE,
    socket_folder=replace(STATE, mode=0o755),
    socket_answers=True,
    daemon_pid=7,
    open_files=(1024, 20_000),
    processes=(-1, -1),
    is_clock_synchronised=True,
    now_s=1.8e9,
    cgroups=("cgroup2",),
    controllers=("memory", "pids"),
    delegated=True,
    busy=(9,),
    dead=(),
    unfinished=(),
    is_restoring=False,
    interpreters=(Interpreter(group="g", python="/p", version=(3, 12, 1)),),
)
DOWN: dict[str, Any] = {"daemon_pid": None, "socket_answers": False, "busy": ()}


def test_a_host_where_all_is_well_has_nothing_to_be_done() -> None:
    found = judge(WELL)

    assert {finding.level for finding in found} == {Level.OK}
    assert {finding.hint for finding in found} == {""}
    assert len(found) >= 12


@pytest.mark.parametrize(
    ("subject", "level", "changes"),
    [
        ("sqlite", "warning", {"sqlite": "3.40.1"}),
        ("configuration", "error", {"problems": ("unknown key", "another")}),
        ("configuration", "error", {"config": replace(FILE, mode=0o664)}),
        ("configuration", "warning", {"config": replace(FILE, uid=1000)}),
        ("state directory", "error", {"state": replace(STATE, mode=0o777)}),
        ("state directory", "error", {"state": replace(STATE, is_writable=False)}),
        ("state directory", "error", {"uid": 1000}),
        (
            "state directory",
            "error",
            {"state": None, "store": None, "parent": replace(STATE, is_writable=False)},
        ),
        ("file system", "error", {"disk": replace(DISK, kind="nfs4")}),
        ("file system", "error", {"disk": replace(DISK, is_read_only=True)}),
        ("space", "warning", {"disk": replace(DISK, free_bytes=10 << 20)}),
        ("inodes", "warning", {"disk": replace(DISK, free_inodes=3)}),
        ("store", "error", {"store": replace(FILE, mode=0o666)}),
        ("store", "error", {"store": replace(FILE, uid=1000)}),
        ("store", "error", {"is_restoring": True}),
        ("socket", "error", {"socket_folder": replace(STATE, mode=0o777)}),
        ("socket", "error", {"socket_answers": False}),
        ("socket", "warning", DOWN),
        ("open files", "warning", {"open_files": (100, 1024)}),
        ("processes", "warning", {"processes": (100, 100)}),
        ("clock", "error", {"now_s": 5.0}),
        ("clock", "warning", {"is_clock_synchronised": False}),
        ("cgroups", "warning", {"delegated": False}),
        ("cgroups", "warning", {"delegated": None, "cgroups": ("cgroup",)}),
        ("left over", "warning", {**DOWN, "busy": (9,)}),
        ("left over", "warning", {**DOWN, "dead": ("abc",)}),
        ("left over", "warning", {**DOWN, "unfinished": ("/s/x.unfinished",)}),
        (
            "worker group g",
            "error",
            {"interpreters": (Interpreter(group="g", python="/p", version=(3, 9)),)},
        ),
        (
            "worker group g",
            "error",
            {"interpreters": (Interpreter(group="g", python="/p", version=None, trouble="no"),)},
        ),
    ],
)
def test_what_is_not_right_is_found_and_says_what_to_do(
    subject: str, level: str, changes: dict[str, Any]
) -> None:
    bad = [finding for finding in judge(replace(WELL, **changes)) if finding.level is not Level.OK]

    (found,) = [finding for finding in bad if finding.subject == subject]
    assert found.level == level
    assert found.message
    assert found.hint


def test_a_sticky_folder_of_sockets_is_no_danger() -> None:
    facts = replace(WELL, socket_folder=replace(STATE, mode=0o1777))

    assert {finding.level for finding in judge(facts)} == {Level.OK}


@pytest.mark.parametrize(
    ("version", "has_it"),
    [
        ("3.6.23", False),
        ("3.7.0", True),
        ("3.40.1", True),
        ("3.44.5", True),
        ("3.44.6", False),
        ("3.45.0", True),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.54.1", False),
    ],
)
def test_the_versions_with_the_wal_reset_bug_are_known(version: str, has_it: bool) -> None:
    assert has_wal_reset_bug(version) is has_it
