"""A store in trouble: refused loudly, healed by itself, nothing acknowledged that is not stored (P11)."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest

from jobctl.errors import StorageError
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")


@pytest.fixture
def small() -> Iterator[Daemon]:
    """A daemon whose state directory is a disk of 4 MiB."""
    with running_daemon(start=False) as daemon:
        daemon.state_dir.mkdir()
        mount("-t", "tmpfs", "-o", "size=4m,mode=711", "jobctl-test", str(daemon.state_dir))
        try:
            daemon.start()
            yield daemon
            if daemon.process is not None and daemon.process.poll() is None:
                free(daemon)
                daemon.until("a store that takes writes", lambda: takes_writes(daemon))
                daemon.stop("kill")
        finally:
            subprocess.run(["umount", "-l", str(daemon.state_dir)], check=True)


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def filler(daemon: Daemon) -> Path:
    return daemon.state_dir / "filler"


def fill(daemon: Daemon) -> None:
    """Take every byte that is free, and what is freed a moment later."""
    with filler(daemon).open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1 << 8, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def free(daemon: Daemon) -> None:
    filler(daemon).unlink(missing_ok=True)


def commands(word: str) -> list[int]:
    """Processes of ours that were given this word to run."""
    found = psutil.process_iter(["cmdline"])
    return [p.pid for p in found if any(word in text for text in p.info["cmdline"] or ())]


def takes_writes(daemon: Daemon) -> bool:
    try:
        daemon.submit(command=["/bin/true"], cwd="/", delay_s=9999.0)
    except StorageError:
        return False
    return True


def fill_until_refused(daemon: Daemon) -> StorageError:
    """A full disk still has the room that the log has taken already: go on until that is used."""
    fill(daemon)
    for _ in range(5000):
        try:
            daemon.submit_many(
                [{"command": ["/bin/true", "x" * 500], "cwd": "/", "delay_s": 9999.0}] * 20
            )
        except StorageError as error:
            return error
    raise AssertionError("the disk is full and everything is stored all the same")


def test_a_full_disk_refuses_a_schedule_and_nothing_of_it_is_in_force(small: Daemon) -> None:
    small.config.write_text('[tasks.tick]\ncommand = ["/bin/true"]\ncron = "0 0 1 1 *"\n')
    small.call(requests.Reload())
    # Long enough to need a page of its own: a full disk may have room for a few bytes.
    table = {"task": "tick", "every": "1h", "args": ["x" * 100_000]}
    fill_until_refused(small)

    for _ in range(2):
        with pytest.raises(StorageError):
            small.call(requests.AddSchedule(name="new", table=table))

    answer = small.call(requests.Schedules())["schedules"]
    assert [one["name"] for one in answer] == ["tick"]
    free(small)
    small.until("a store that takes writes", lambda: takes_writes(small))
    added = small.call(requests.AddSchedule(name="new", table=table))
    assert added["duplicate"] is False
    assert added["schedule"]["state"] == "active"


def test_a_full_disk_refuses_submits_and_the_daemon_answers_on(small: Daemon) -> None:
    refused = fill_until_refused(small)

    assert refused.exit_code == 75
    assert refused.hint
    count = small.call(requests.List(count=True))["count"]
    with pytest.raises(StorageError):
        small.submit_many([{"command": ["/bin/true"], "cwd": "/", "delay_s": 9.0}] * 200)
    assert small.call(requests.List(count=True))["count"] == count
    assert small.call(requests.Inspect(what="ping"))["pid"] == small.pid
    free(small)
    small.until("a store that takes writes", lambda: takes_writes(small))
    small.until("the good news", lambda: "takes writes again" in small.log())


def test_trouble_is_said_once_and_not_for_each_client(small: Daemon) -> None:
    fill_until_refused(small)

    for _ in range(20):
        with pytest.raises(StorageError):
            small.submit_many(
                [{"command": ["/bin/true", "x" * 900], "cwd": "/", "delay_s": 9.0}] * 50
            )

    assert small.log().count("the disk is full") == 1


def test_an_outcome_is_stored_on_a_full_disk_and_nothing_new_is_taken(small: Daemon) -> None:
    ballast = small.state_dir / "ballast"
    assert ballast.stat().st_blocks * 512 >= 64 << 10
    go = small.folder / "go"
    job = small.shell(f"until [ -e {go} ]; do sleep 0.01; done; echo done; exit 7")
    small.until("the job to run", lambda: small.status(job)["state"] == "STARTED")
    waits = small.submit(command=["/bin/true"], cwd="/", delay_s=9999.0)
    fill_until_refused(small)
    assert not ballast.exists()
    assert "disk is full" in small.call(requests.Inspect(what="ping"))["trouble"]
    with pytest.raises(StorageError, match="disk is full"):
        small.call(requests.Health(late_s=60.0, waiting_s=60.0))

    go.touch()

    # By the room that was kept for it: the disk is as full as before.
    ended = small.ended(job)
    assert ended["state"] == "FAILURE"
    (attempt,) = ended["attempts"]
    assert (attempt["exit_code"], attempt["output_tail"]) == (7, "done\n")
    assert small.call(requests.Cancel(job=waits))["state"] == "REVOKED"
    # What it has left is not for new jobs.
    with pytest.raises(StorageError):
        small.submit(command=["/bin/true"], cwd="/", delay_s=9999.0)
    free(small)
    small.until("a store that takes writes", lambda: takes_writes(small))
    assert ballast.exists()
    assert small.call(requests.Inspect(what="ping"))["trouble"] is None


def test_an_outcome_waits_for_space_and_is_stored_when_there_is_some(small: Daemon) -> None:
    go = small.folder / "go"
    job = small.shell(f"until [ -e {go} ]; do sleep 0.01; done; echo done; exit 7")
    small.until("the job to run", lambda: small.status(job)["state"] == "STARTED")
    # Somebody has removed the reserve, and filled its place.
    (small.state_dir / "ballast").unlink()
    fill_until_refused(small)

    go.touch()
    small.until("the command to end", lambda: not commands(str(go)))

    assert small.status(job)["state"] == "STARTED"
    free(small)
    ended = small.ended(job)
    assert ended["state"] == "FAILURE"
    (attempt,) = ended["attempts"]
    assert (attempt["exit_code"], attempt["output_tail"]) == (7, "done\n")


def test_a_daemon_killed_on_a_full_disk_loses_nothing_that_was_acknowledged(
    small: Daemon,
) -> None:
    job = small.submit(command=["/bin/true"], cwd="/", delay_s=9999.0)
    fill_until_refused(small)
    count = small.call(requests.List(count=True))["count"]

    small.kill()
    free(small)
    small.start()

    assert small.status(job)["state"] == "PENDING"
    assert small.call(requests.List(count=True))["count"] == count


def test_a_store_that_was_removed_acknowledges_nothing(small: Daemon) -> None:
    (small.state_dir / "jobctl.db").rename(small.state_dir / "away.db")

    with pytest.raises(StorageError, match="removed or replaced"):
        small.submit(command=["/bin/true"], cwd="/")

    (small.state_dir / "away.db").rename(small.state_dir / "jobctl.db")
    small.until("a store that takes writes", lambda: takes_writes(small))


@pytest.mark.slow
def test_a_read_only_disk_is_refused_at_start(small: Daemon) -> None:
    small.submit(command=["/bin/true"], cwd="/", delay_s=9999.0)
    small.stop()
    small.until("its processes to be gone", lambda: not small.processes())
    mount("-o", "remount,ro", str(small.state_dir))

    small.launch()

    assert small.wait_for_exit() == 78
    small.until("its last words", lambda: "state directory" in small.log())
    mount("-o", "remount,rw", str(small.state_dir))
    small.start()
