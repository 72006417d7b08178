"""Looking at processes from outside, as the kernel shows them."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable


def pids_in(path: Path) -> list[int]:
    """The pids that jobs have written into a file so far, one a line."""
    text = path.read_text() if path.exists() else ""
    return [int(line) for line in text.split("\n")[:-1]]


def _stat(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


def is_running(pid: int) -> bool:
    """It exists and is no zombie."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in (b"Z", b"X")


def children(pid: int) -> dict[int, str]:
    """The children of a process with their states, as one letter."""
    found: dict[int, str] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            fields = _stat(int(path.name))
            if fields and int(fields[1]) == pid:
                found[int(path.name)] = fields[0].decode()
    return found


def descriptors(pid: int) -> dict[int, str]:
    """The open descriptors of a process and what they are."""
    found: dict[int, str] = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(path.name)] = str(path.readlink())
        except OSError:
            continue
    return found


def status(pid: int) -> dict[str, str]:
    """The lines of /proc/<pid>/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def pss_kib(pid: int) -> int:
    """The proportional share of memory of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError(f"process {pid} shows no memory")


def switches(pid: int) -> int:
    """How often a process has been on a processor: an idle one is never."""
    found = status(pid)
    return int(found["voluntary_ctxt_switches"]) + int(found["nonvoluntary_ctxt_switches"])


class Ends:
    """The ends of processes, as the kernel announces them. Opened while they live; closed by `wait`."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = {os.pidfd_open(pid): pid for pid in pids}

    def wait(self, *, limit_s: float = 20.0) -> None:
        """Wait until all of them have ended; fails with those that live on."""
        poll = select.poll()
        for pidfd in self._pids:
            poll.register(pidfd, select.POLLIN)
        end = time.monotonic() + limit_s * PATIENCE
        left = dict(self._pids)
        try:
            while left:
                found = poll.poll(max((end - time.monotonic()) * 1000, 0))
                names = {pid: status(pid)["Name"] for pid in left.values()} if not found else {}
                assert found, f"processes live on: {names}"
                for pidfd, _ in found:
                    poll.unregister(pidfd)
                    del left[pidfd]
        finally:
            for pidfd in self._pids:
                os.close(pidfd)
