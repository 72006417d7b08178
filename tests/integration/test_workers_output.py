"""What commands write: all of it read, the first and the last part kept, whatever the disk says."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.protocol import requests
from tests.support.daemon import running_daemon, with_patch
from tests.support.processes import pids_in, status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.daemon import Daemon


def kept(daemon: Daemon, job: int) -> tuple[dict[str, Any], bytes]:
    """The ended attempt of a job, and what is kept of its output."""
    (attempt,) = daemon.ended(job)["attempts"]
    answers = list(daemon.client.stream(requests.Logs(job=job)))
    return attempt, b"".join(a.get("data", "").encode("latin-1") for a in answers[:-1])


def output_files(daemon: Daemon) -> list[Path]:
    return [path for path in daemon.state_dir.glob("output/*/*") if path.is_file()]


def test_a_command_that_reopens_its_output_keeps_what_was_written_before(daemon: Daemon) -> None:
    """Trap 20: with a file instead of a pipe the shell would cut off what was there."""
    job = daemon.shell("echo one; echo two >/dev/stderr; echo three >/dev/stdout; echo four")
    assert kept(daemon, job)[1] == b"one\ntwo\nthree\nfour\n"


def test_every_byte_value_survives_in_a_row_and_in_a_file(daemon: Daemon) -> None:
    every = bytes(range(256))
    (daemon.folder / "bytes").write_bytes(every)
    short = daemon.shell("cat bytes")
    long = daemon.shell(
        "for i in 1 2 3 4 5 6 7 8 9 0; do for j in 1 2 3 4 5 6 7 8 9 0; do cat bytes; done; done"
    )
    assert kept(daemon, short)[1] == every
    assert kept(daemon, long)[1] == every * 100


@pytest.mark.parametrize("size", [16_383, 16_384, 16_385, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_output_around_each_limit_is_whole_or_has_head_and_tail(daemon: Daemon, size: int) -> None:
    text = b"".join(b"%07d\n" % n for n in range(size // 8 + 1))[:size]
    (daemon.folder / "text").write_bytes(text)

    attempt, data = kept(daemon, daemon.shell("cat text"))

    assert attempt["output_bytes"] == size
    cap = 1 << 20
    if size <= cap:
        assert data == text
    else:
        assert len(data) <= cap + (1 << 20) + 65_536
        assert data.startswith(text[: cap // 2])
        assert data.endswith(text[-cap // 2 :])
    assert bool(output_files(daemon)) == (size > 16_384)


@pytest.mark.parametrize("size_mib", [64, pytest.param(1024, marks=pytest.mark.slow)])
def test_a_gigabyte_in_one_line_costs_neither_memory_nor_disk(
    daemon: Daemon, size_mib: int
) -> None:
    """Trap 22, P15."""
    go = daemon.folder / "go"
    size = size_mib << 20
    job = daemon.shell(
        f"head -c {size} /dev/zero | tr '\\0' x; until [ -e {go} ]; do sleep 0.01; done"
    )
    daemon.until(
        "all of it to be read",
        lambda: [path for path in output_files(daemon) if path.stat().st_size == size],
        limit_s=100,
    )
    (keeper,) = [w for w in daemon.workers("keeper") if job in w["attempts"]]
    assert int(status(keeper["pid"])["VmHWM"].split()[0]) < 24 * 1024
    (file,) = output_files(daemon)
    assert file.stat().st_blocks * 512 < 4 << 20
    go.touch()
    attempt, data = kept(daemon, job)
    assert attempt["output_bytes"] == size
    assert len(data) < 4 << 20
    assert set(data) == {ord("x")}
    # It has sent all that is kept by now.
    assert int(status(daemon.pid)["VmHWM"].split()[0]) < 80 * 1024


def test_what_left_overs_write_after_the_end_is_read_and_dropped(daemon: Daemon) -> None:
    go, done = daemon.folder / "go", daemon.folder / "done"
    job = daemon.shell(
        f"(setsid sh -c 'until [ -e {go} ]; do sleep 0.01; done;"
        f" head -c 1000000 /dev/zero; echo $$ >> {done}' &); echo early"
    )
    attempt, data = kept(daemon, job)
    assert data == b"early\n"

    go.touch()

    # Nobody reading would stop it for ever at the end of a pipe's 64 KiB.
    daemon.until("the left-over to have written it all", lambda: pids_in(done))
    assert kept(daemon, job) == (attempt, b"early\n")


def test_a_follower_sees_output_as_it_comes_and_to_the_end(daemon: Daemon) -> None:
    go = daemon.folder / "go"
    job = daemon.shell(f"echo first; until [ -e {go} ]; do sleep 0.01; done; echo last")
    seen = []
    for answer in daemon.client.stream(requests.Logs(job=job, follow=True)):
        if "data" in answer:
            seen.append(answer["data"])
            go.touch()
    assert "".join(seen) == "first\nlast\n"


@pytest.mark.slow
def test_a_follower_of_a_stopped_daemon_does_not_stop_the_command(daemon: Daemon) -> None:
    """The keeper's hints find no room in the channel; the command's limit is kept all the same."""
    import signal
    import threading

    from jobctl.client import Client
    from jobctl.errors import JobctlError

    go = daemon.folder / "go"
    line = (
        f"until [ -e {go} ]; do sleep 0.01; done; for i in $(seq 1 3000); do echo $i; sleep 0; done"
    )
    done = daemon.folder / "done"
    job = daemon.shell(f"{line}; echo $$ >> {done}")
    following = threading.Event()

    def follow() -> None:
        client = Client(daemon.socket, timeout_s=60)
        try:
            following.set()
            for _ in client.stream(requests.Logs(job=job, follow=True)):
                pass
        except JobctlError:
            pass
        finally:
            client.close()

    reader = threading.Thread(target=follow)
    reader.start()
    following.wait(10)
    daemon.until("the follower to be served", lambda: output_files(daemon))
    daemon.signal(signal.SIGSTOP)
    try:
        go.touch()
        daemon.until("the command to end", lambda: pids_in(done), limit_s=60)
    finally:
        daemon.signal(signal.SIGCONT)
    reader.join()
    assert daemon.ended(job)["state"] == "SUCCESS"


# -- a disk that refuses ---------------------------------------------------------------------------


@pytest.fixture
def small_disk() -> Iterator[Daemon]:
    """A daemon whose output folder takes less than a megabyte.

    As root a small file system is mounted there; otherwise files are limited in size, which looks the
    same to a keeper.
    """
    with running_daemon(start=False) as daemon:
        output = daemon.state_dir / "output"
        output.mkdir(parents=True)
        if os.geteuid() == 0:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "jobctl", str(output)],
                check=True,
            )
        else:
            limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, 8 << 20))"
            daemon.launcher = with_patch(limit)
        try:
            daemon.start()
            yield daemon
        finally:
            if os.geteuid() == 0:
                subprocess.run(["umount", "--lazy", str(output)], check=True)


def test_a_full_disk_costs_output_and_neither_the_command_nor_its_exit_code(
    small_disk: Daemon,
) -> None:
    daemon = small_disk
    config = '[tasks.writes]\nshell = "head -c 20000000 /dev/zero; exit 5"\nmax_output = "64MB"\n'
    daemon.config.write_text(config)
    daemon.call(requests.Reload())

    attempt, data = kept(daemon, daemon.submit(task="writes"))

    assert attempt["exit_code"] == 5
    assert attempt["output_bytes"] == 20_000_000
    assert 16_384 < len(data) < 20_000_000
    assert data == bytes(len(data))
    assert attempt["error"] == {
        "type": "OutputLost",
        "message": f"{20_000_000 - len(data)} bytes of output could not be kept: "
        + (os.strerror(errno.ENOSPC) if os.geteuid() == 0 else os.strerror(errno.EFBIG)),
        "traceback": "",
    }
    # And the keeper goes on.
    assert kept(daemon, daemon.shell("echo fine"))[1] == b"fine\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_follower_on_a_full_disk_costs_no_output(small_disk: Daemon) -> None:
    daemon = small_disk
    fill(daemon)
    go = daemon.folder / "go"
    job = daemon.shell(f"echo first; until [ -e {go} ]; do sleep 0.01; done; echo last")
    # Only a keeper that was asked to makes a file, and here it cannot.
    list(daemon.client.stream(requests.Logs(job=job)))
    go.touch()
    attempt, data = kept(daemon, job)
    assert (attempt["error"], data) == (None, b"first\nlast\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_when_a_full_disk_has_room_again_a_follower_sees_what_follows(small_disk: Daemon) -> None:
    daemon = small_disk
    filler = fill(daemon)
    go, wrote = daemon.folder / "go", daemon.folder / "wrote"
    job = daemon.shell(
        f"head -c 100000 /dev/zero | tr '\\0' x; echo > {wrote};"
        f" until [ -e {go} ]; do sleep 0.01; done; echo last"
    )
    daemon.until("it to be written", wrote.exists)
    for _ in range(2):
        # A keeper that has answered twice has read what lay in the pipe.
        list(daemon.client.stream(requests.Logs(job=job)))
    filler.unlink()
    go.touch()

    parts = list(daemon.client.stream(requests.Logs(job=job, follow=True)))[:-1]

    data = "".join(part["data"] for part in parts)
    assert data.endswith("xxxlast\n")
    last = parts[-1]
    assert last["offset"] + len(last["data"]) == 100_000 + len("last\n")
    (attempt,) = daemon.ended(job)["attempts"]
    assert attempt["output_bytes"] == 100_005
    lost = 100_005 - len(data)
    assert 0 < lost <= 100_000 - 16_384 + 4096
    assert attempt["error"]["message"].startswith(f"{lost} bytes of output could not be kept")
    assert attempt["output_tail"].endswith("xlast\n")


def fill(daemon: Daemon) -> Path:
    """Leave no room in the output folder; gives back what has to go."""
    filler = daemon.state_dir / "output" / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_on_a_disk_that_cannot_punch_holes_head_and_tail_are_kept_all_the_same() -> None:
    with running_daemon(start=False) as daemon:
        output = daemon.state_dir / "output"
        output.mkdir(parents=True)
        subprocess.run(["mount", "-t", "ramfs", "jobctl", str(output)], check=True)
        try:
            daemon.start()
            text = b"".join(b"%07d\n" % n for n in range(1 << 20))
            (daemon.folder / "text").write_bytes(text)

            job = daemon.shell("cat text")
            daemon.wait(job)
            # Looked at first: this file system keeps a page for every hole that is read.
            (file,) = output_files(daemon)
            assert file.stat().st_blocks * 512 < 4 << 20
            attempt, data = kept(daemon, job)

            assert attempt["output_bytes"] == len(text)
            assert data.startswith(text[: 512 << 10])
            assert data.endswith(text[-(512 << 10) :])
        finally:
            subprocess.run(["umount", "--lazy", str(output)], check=True)
