"""Functions for tests of function workers; imported by their template."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import time
from pathlib import Path


def double(number: int) -> int:
    return 2 * number


def hold(began: str, go: str) -> str:
    """Say who runs this, then wait for a file."""
    say(began)
    while not Path(go).exists():
        time.sleep(0.005)
    return "went"


def say(began: str) -> None:
    """Append this process's pid; whole lines only."""
    fd = os.open(began, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{os.getpid()}\n".encode())
    os.close(fd)


def note(ledger: str, name: str) -> str:
    fd = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{name}\n".encode())
    os.close(fd)
    return name


def fork_and_hold(began: str, go: str) -> str:
    """A fork that runs on beside this function, and stays when the worker is killed."""
    if os.fork() == 0:
        say(began)
        while True:
            time.sleep(3600)
    say(began)
    while not Path(go).exists():
        time.sleep(0.005)
    return "went"


def fork_that_returns(began: str, go: str) -> str:
    """A fork that user code lets return, while the parent works on."""
    if os.fork() == 0:
        return "the fork"
    os.wait()
    say(began)
    while not Path(go).exists():
        time.sleep(0.005)
    return "the parent"


def start_process(began: str) -> int:
    """Leaves a process running that does not hold the worker's pipes."""
    child = subprocess.Popen(
        ["/bin/sh", "-c", f"echo $$ >> {began}; exec sleep 3600"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not Path(began).exists():
        time.sleep(0.005)
    return child.pid


def kill_self(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()


def garble() -> None:
    """Write rubbish into every socket of this worker."""
    for link in Path("/proc/self/fd").iterdir():
        try:
            if str(link.readlink()).startswith("socket:"):
                os.write(int(link.name), b"this is no message\n")
        except OSError:
            continue
    time.sleep(3600)


def exit_at_once() -> None:
    os._exit(7)


def eat(megabytes: int) -> int:
    block = bytearray(megabytes << 20)
    for offset in range(0, len(block), 4096):
        block[offset] = 1
    time.sleep(3600)
    return len(block)


def shut_channel() -> str:
    """What user code must not do, and does: end the worker's connection to the daemon."""
    for link in Path("/proc/self/fd").iterdir():
        try:
            if str(link.readlink()).startswith("socket:"):
                with socket.socket(fileno=os.dup(int(link.name))) as found:
                    if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        found.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
    return "shut"


def frozen() -> int:
    """How many objects are kept out of the collector's reach."""
    import gc

    return gc.get_freeze_count()


def end_a_child() -> int | None:
    """A process of multiprocessing that is ended as one ends these; its exit code."""
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(3600,))
    child.start()
    child.terminate()
    child.join()
    return child.exitcode
