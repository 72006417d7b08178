"""Jobs that prove by themselves when they ran: they write into a ledger that no part of jobctl touches.

Each run holds a lock named for its job, which the kernel frees with the process: a second run that
finds it taken has met the first one alive.
"""

from __future__ import annotations

import fcntl
import os
import time


def work(folder: str, name: str, seconds: float) -> str:
    """One run of the job ``name``."""
    lock = os.open(f"{folder}/lock-{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        write(folder, f"twice {name}")
        raise
    try:
        write(folder, f"begin {name}")
        if seconds:
            time.sleep(seconds)
        write(folder, f"end {name}")
    finally:
        os.close(lock)
    return name


def write(folder: str, line: str) -> None:
    """Add one line; whole, whoever else writes."""
    ledger = os.open(f"{folder}/ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(ledger, f"{line}\n".encode())
    os.close(ledger)
