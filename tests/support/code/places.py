"""Jobs that prove by themselves that no limit is exceeded: each takes a place, and the kernel frees it.

A limit of two has two files; an attempt locks one of them for as long as its process lives.
"""

from __future__ import annotations

import fcntl
import os
import time


def work(folder: str, key: str, name: str, hundredths: str, most: int, most_per_key: int) -> str:
    """One attempt of the job ``name``."""
    held = [
        *take(folder, "task-function", most),
        *take(folder, f"key-function-{key}", most_per_key),
    ]
    try:
        write(folder, f"begin function-{name}")
        time.sleep(int(hundredths) / 100)
        write(folder, f"end function-{name}")
    finally:
        for place in held:
            os.close(place)
    return name


def take(folder: str, limit: str, most: int) -> list[int]:
    """Lock one of the places of a limit; says so in the ledger when all of them are taken."""
    for number in range(most):
        place = os.open(f"{folder}/{limit}-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(place)
        else:
            return [place]
    write(folder, f"over {limit}")
    return []


def write(folder: str, line: str) -> None:
    """Add one line; whole, whoever else writes."""
    ledger = os.open(f"{folder}/ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(ledger, f"{line}\n".encode())
    os.close(ledger)
