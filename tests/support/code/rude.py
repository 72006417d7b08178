"""Functions that leave their worker in disorder; imported by its template."""

from __future__ import annotations

import ctypes
import os
import resource
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


def _open_files() -> list[Path]:
    return [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
