"""Functions that leave their worker in disorder; imported by its template."""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import sys
import time
from pathlib import Path
from typing import Any


def drop_stdout() -> None:
    setattr(sys, "stdout", None)  # noqa: B010 -- what user code does, and no type checker allows
    sys.stderr = sys.stdout


def say(text: str) -> str:
    print(text)  # noqa: T201 -- what is tested
    return text


def make_text(size_bytes: int) -> Any:
    return "x" * size_bytes


def who() -> list[int]:
    return [os.getuid(), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]


def spoil_folder(elsewhere: str) -> str:
    """Put links where the worker's marks and tickets were, and one to another folder beside them."""
    folder = next(path.parent for path in _open_files() if path.name == "lock")
    for name in ("marks", "tickets"):
        (folder / name).unlink()
        (folder / name).symlink_to(elsewhere)
    (folder.parent / "0123456789abcdef").symlink_to(elsewhere)
    return str(folder)


def fork_in_c(began: str) -> None:
    """Die, and leave a fork in a session of its own that no hook of the interpreter has seen."""
    libc = ctypes.CDLL(None)
    if libc.fork() == 0:
        libc.setsid()
        said = Path(f"{began}.new")
        said.write_text(str(os.getpid()))
        said.rename(began)
        while True:
            time.sleep(3600)
    while not Path(began).exists():
        time.sleep(0.005)
    os._exit(4)


def _listener() -> int:
    """The number of the descriptor at which this worker listens."""
    for link in Path("/proc/self/fd").iterdir():
        if link.is_symlink() and str(link.readlink()).startswith("socket:"):
            with socket.socket(fileno=os.dup(int(link.name))) as found:
                if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    return int(link.name)
    raise AssertionError("this worker does not listen")


def _destroy(how: str) -> None:
    """Make this worker unreachable in one of the ways that user code may find."""
    folder = next(path.parent for path in _open_files() if path.name == "lock")
    place = folder / "sock"
    match how:  # each a member of WAYS in the test
        case "unlink":
            place.unlink()
        case "loop":
            place.unlink()
            place.symlink_to("sock")
        case "link to the template":
            place.unlink()
            place.symlink_to("../sock")
        case "link to the other worker":
            (other,) = [p for p in folder.parent.glob("*/sock") if p != place]
            other.replace(place)
        case "file":
            place.unlink()
            place.write_text("")
        case "close":
            os.close(_listener())
        case "close all":
            # What programs do that become daemons; the lock is kept, or this worker would be dead.
            lock = next(n for n in range(3, 99) if _names(n, "lock"))
            os.closerange(3, lock)
            os.closerange(lock + 1, 256)
        case _:
            raise ValueError(how)


def _names(number: int, name: str) -> bool:
    try:
        return Path(f"/proc/self/fd/{number}").readlink().name == name
    except OSError:
        return False


def hide(how: str, began: str) -> None:
    """Destroy this worker's socket and go on for ever, with a child that does the same."""
    _destroy(how)
    child = os.fork()
    if child:
        Path(f"{began}.new").write_text(f"{os.getpid()}\n{child}\n")
        Path(f"{began}.new").rename(began)
    while True:
        time.sleep(3600)


def hide_and_end(how: str) -> str:
    """Destroy this worker's socket, and return as if nothing had been."""
    _destroy(how)
    return how


def part(began: str, go: str) -> str:
    """End the connection to the daemon, make any other impossible, and go on until a file is there."""
    _destroy("unlink")
    for link in Path("/proc/self/fd").iterdir():
        if link.is_symlink() and str(link.readlink()).startswith("socket:"):
            with socket.socket(fileno=os.dup(int(link.name))) as found:
                if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    found.shutdown(socket.SHUT_RDWR)
    Path(began).write_text(f"{os.getpid()}\n")
    while not Path(go).exists():
        time.sleep(0.005)
    return "went"


def unlink_marks(began: str) -> None:
    """Remove the marks, say so, and go on for ever."""
    folder = next(path.parent for path in _open_files() if path.name == "lock")
    (folder / "marks").unlink()
    Path(began).write_text(f"{os.getpid()}\n")
    while True:
        time.sleep(3600)


def _open_files() -> list[Path]:
    return [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
