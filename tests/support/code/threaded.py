"""Plain functions for tests of workers that run them in threads; imported by their template."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

_all_here = threading.Barrier(20)


def meet() -> int:
    """Wait until twenty are here at once; gives back the pid."""
    _all_here.wait()
    return os.getpid()


def hold(ledger: str, name: str, go: str) -> str:
    """Write down that this began, then wait for a file."""
    fd = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{name}\n".encode())
    os.close(fd)
    while not Path(go).exists():
        time.sleep(0.005)
    return name


def talk(word: str) -> None:
    for number in range(20):
        print(word, number)  # noqa: T201 -- what it is for
        time.sleep(0.001)


def fail(kind: str) -> None:
    if kind == "exit":
        raise SystemExit(3)
    if kind == "stop":
        raise StopIteration
    raise ValueError(kind)


def fork(ledger: str) -> str:
    """A fork that user code lets return."""
    child = os.fork()
    if child == 0:
        return "the fork"
    os.waitpid(child, 0)
    return "the parent"


async def coroutine(number: int) -> int:
    await asyncio.sleep(0)
    return number
