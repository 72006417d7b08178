"""Becoming somebody else for a moment, which only root can."""

from __future__ import annotations

import os
from typing import Any

NOBODY = 65534


def as_nobody(work: Any) -> str:
    """Do something in a child of another uid; gives back the error that it ends with."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = "nothing"
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            work()
        except BaseException as error:  # noqa: BLE001 -- it is told, by name
            told = f"{type(error).__name__}: {error}"
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told
