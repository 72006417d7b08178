"""Functions that leave their worker in disorder; imported by its template."""

from __future__ import annotations

import os
import resource
import sys
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
