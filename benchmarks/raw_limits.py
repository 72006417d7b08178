"""What this machine can do without any queue: flushes, commits, round trips over a socket."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from benchmarks.processes import end, start
from benchmarks.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

LINE = b'{"id":1,"do":"submit","jobs":[{"task":"noop","key":"0197a3b2c4d57e6f8091a2b3c4d5e6f7"}]}\n'
"""About what a submit is, for whoever only carries it."""


def flushes_per_second(folder: Path, count: int) -> float:
    """Append 4 KiB and fdatasync, one after the other."""
    descriptor = os.open(folder / "flushes", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        page = bytes(4096)
        begin = time.perf_counter()
        for _ in range(count):
            os.write(descriptor, page)
            os.fdatasync(descriptor)
        return count / (time.perf_counter() - begin)
    finally:
        os.close(descriptor)


def commits_per_second(folder: Path, count: int, *, rows: int = 1) -> float:
    """Rows a second, each commit with ``rows`` of them, as the store of jobctl is opened: write-ahead
    log, synchronous=FULL, exclusive. One table, no index, 100 bytes a row."""
    database = apsw.Connection(str(folder / f"bare-{rows}.db"))
    try:
        for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
            list(database.execute(f"PRAGMA {setting}"))
        database.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT")
        data: Sequence[tuple[bytes]] = [(bytes(100),)] * rows
        begin = time.perf_counter()
        for _ in range(count):
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO jobs (data) VALUES (?)", data)
            database.execute("COMMIT")
        return count * rows / (time.perf_counter() - begin)
    finally:
        database.close()


def round_trips_per_second(folder: Path, count: int) -> float:
    """Lines there and back over a socket, to a process that only gives them back."""
    address = str(folder / "echo")
    server = start([sys.executable, "-m", "benchmarks.raw_limits", address], log=folder / "log")
    try:
        until("the echo", Path(address).exists, limit_s=30.0)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address)
            begin = time.perf_counter()
            for _ in range(count):
                client.sendall(LINE)
                client.recv(65_536)
            return count / (time.perf_counter() - begin)
    finally:
        end(server)


def echo(address: str) -> None:
    """Give back what one client sends, until it goes."""
    with socket.socket(socket.AF_UNIX) as listener:
        # Listening before the name appears, so that who sees the name may connect.
        listener.bind(f"{address}.new")
        listener.listen()
        Path(f"{address}.new").rename(address)
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(65_536):
                connection.sendall(data)


if __name__ == "__main__":
    echo(sys.argv[1])
