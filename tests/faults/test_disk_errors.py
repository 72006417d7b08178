"""A disk that fails, refuses, is slow, or gives back other bytes than were written."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import apsw
import pytest

from jobctl.errors import JobctlError
from jobctl.store.database import open_database
from tests.faults.crash_states import content
from tests.faults.crash_stories import STORIES, World
from tests.faults.kill_sweep import is_traced
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.daemon import Daemon

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None and "CI" not in os.environ, reason="needs strace"
)


@contextlib.contextmanager
def injected(daemon: Daemon, what: str) -> Iterator[None]:
    """The daemon's system calls end as strace's ``inject=`` says."""
    call = what.partition(":")[0]
    command = ["strace", "-qq", "-o", "/dev/null", "-p", str(daemon.pid)]
    command += ["-e", f"trace={call}", "-e", f"inject={what}"]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until("strace to trace the daemon", lambda: is_traced(daemon.pid))
        yield
    finally:
        tracer.send_signal(signal.SIGTERM)
        tracer.wait()


def refuse_and_heal(daemon: Daemon, what: str) -> None:
    """Nothing is acknowledged meanwhile, reading goes on, and afterwards all is as it was."""
    first = daemon.shell("true")
    daemon.wait(first)
    with injected(daemon, what):
        for _ in range(2):
            with pytest.raises(JobctlError) as refused:
                daemon.shell("echo never acknowledged")
            assert refused.value.exit_code == 75
        assert daemon.status(first)["state"] == "SUCCESS"

    def submitted() -> int | None:
        with contextlib.suppress(JobctlError):
            return daemon.shell("true")
        return None

    later = daemon.until("the store to take writes again", submitted)
    daemon.kill()
    daemon.start()
    assert daemon.ended(later)["state"] == "SUCCESS"
    assert daemon.status(first)["state"] == "SUCCESS"


@needs_strace
def test_a_flush_that_fails_acknowledges_nothing_and_the_store_heals(daemon: Daemon) -> None:
    refuse_and_heal(daemon, "fdatasync:error=EIO")


@needs_strace
def test_a_write_that_fails_refuses_submits_and_the_store_heals(daemon: Daemon) -> None:
    refuse_and_heal(daemon, "pwrite64:error=EROFS")


@needs_strace
def test_a_slow_disk_makes_clients_wait_and_loses_nothing(daemon: Daemon) -> None:
    """A fifth of a second for each flush."""
    with injected(daemon, "fdatasync:delay_exit=200000"):
        jobs = [daemon.shell("true") for _ in range(3)]
        states = {daemon.status(job)["state"] for job in jobs}
    daemon.wait(*jobs)

    assert states <= {"PENDING", "STARTED", "SUCCESS"}
    assert {daemon.status(job)["state"] for job in jobs} == {"SUCCESS"}


def test_no_flipped_byte_ends_in_anything_but_an_answer_or_a_refusal(tmp_path: Path) -> None:
    """In the store, and in a log that a killed daemon has left. What SQLite cannot see, as other letters in a
    payload, is read as it is; nothing else is raised, and nothing hangs."""
    prepare, act = STORIES["settle"]
    path = tmp_path / "jobctl.db"
    database = open_database(path)
    prepare(World(database, tmp_path))
    database.checkpoint()
    act(World(database, tmp_path))
    kept = {name: (tmp_path / name).read_bytes() for name in ("jobctl.db", "jobctl.db-wal")}
    database.close()
    lab = tmp_path / "lab"
    lab.mkdir()
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    ends: set[str] = set()
    for number in range(120):
        flipped = {name: bytearray(data) for name, data in kept.items()}
        for _ in range(rng.choice((1, 1, 3, 20))):
            data = flipped[rng.choice(sorted(flipped))]
            # Every other time where the headers are, which decide most.
            data[rng.randrange(100 if number % 2 else len(data))] ^= 1 << rng.randrange(8)
        for name, data in flipped.items():
            (lab / name).write_bytes(data)
        ends.add(_open(lab / "jobctl.db", f"seed {seed}, case {number}"))

    assert {"refused", "read"} <= ends <= {"refused", "read", "damage found"}


def _open(path: Path, case: str) -> str:
    try:
        database = open_database(path)
    except JobctlError as error:
        return "refused" if error.hint else f"{case}: refused without a hint"
    try:
        content(database)
    except (apsw.Error, UnicodeDecodeError):
        return "damage found"
    finally:
        database.close()
    return "read"
