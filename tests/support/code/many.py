"""Coroutine functions for tests of workers that run many at once; imported by their template."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from pathlib import Path

import jobctl


def note(ledger: str, name: str) -> None:
    """Append a line, whole."""
    fd = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{name}\n".encode())
    os.close(fd)


def say(began: str) -> None:
    """Append this process's pid."""
    note(began, str(os.getpid()))


_handler = logging.StreamHandler()
logging.getLogger("many").addHandler(_handler)

_here = 0
_all_here: asyncio.Event | None = None


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def meet(count: int) -> int:
    """Wait until so many are here at once; gives back the pid."""
    global _here, _all_here
    _all_here = _all_here or asyncio.Event()
    _here += 1
    if _here == count:
        _all_here.set()
    await _all_here.wait()
    return os.getpid()


async def nap(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def hold(began: str, go: str) -> str:
    """Say who runs this, then wait for a file."""
    say(began)
    while not Path(go).exists():
        await asyncio.sleep(0.005)
    return "went"


async def note_and_hold(ledger: str, name: str, go: str) -> str:
    """Write down that this began, then wait for a file."""
    note(ledger, name)
    while not Path(go).exists():
        await asyncio.sleep(0.005)
    return name


async def clean_up(began: str, cleaned: str) -> None:
    say(began)
    try:
        await asyncio.Event().wait()
    finally:
        say(cleaned)


async def come_to_an_end(began: str) -> str:
    """At its soft limit it says what it has done so far."""
    say(began)
    try:
        await asyncio.Event().wait()
    except jobctl.SoftTimeout:
        await asyncio.sleep(0)
        return "so far"
    return "all of it"


async def stubborn(began: str) -> None:
    """Does not let itself be cancelled."""
    say(began)
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)


async def block(began: str, go: str) -> str:
    """Waits without letting anybody else run."""
    say(began)
    while not Path(go).exists():
        time.sleep(0.005)
    return "went"


async def talk(word: str, count: int) -> None:
    """Prints in turn with all others that do."""
    for number in range(count):
        print(word, number)  # noqa: T201 -- what it is for
        await asyncio.sleep(0)
    await asyncio.to_thread(print, word, "thread")
    logging.getLogger("many").warning("%s log", word)


async def report(done: int, total: int, began: str, go: str) -> None:
    """Say how far it has come, then wait for a file."""
    await asyncio.to_thread(jobctl.progress, done, total)
    await hold(began, go)


async def fail(text: str) -> None:
    await asyncio.sleep(0)
    raise ValueError(text)


async def leave_the_loop() -> None:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)
    raise SystemExit(3)


async def fork(began: str, ledger: str) -> str:
    """A fork that user code lets go on, beside the loop of which it is a copy."""
    if os.fork() == 0:
        say(began)
    await asyncio.sleep(0)
    note(ledger, str(os.getpid()))
    await asyncio.sleep(0)
    return "the parent"


async def wander() -> str:
    os.chdir("/usr")
    os.environ["WANDERED"] = "yes"
    await asyncio.sleep(0)
    return str(Path.cwd())


async def look() -> list[str | None]:
    return [str(Path.cwd()), os.environ.get("WANDERED")]


def plain(number: int) -> int:
    return number


async def eat(megabytes: int) -> int:
    """Takes memory and keeps it; gives back the pid."""
    _eaten.append(b"x" * (megabytes << 20))
    return os.getpid()


_eaten: list[bytes] = []
