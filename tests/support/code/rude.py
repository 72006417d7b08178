"""Functions that leave their worker in disorder; imported by its template."""

from __future__ import annotations

import os
import resource
import sys
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


def _open_files() -> list[Path]:
    return [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
