"""Configurations for tests of real processes, each made with one line."""

from __future__ import annotations

import os
from pathlib import Path

CODE = Path(__file__).parent / "code"

WORK = (
    "double",
    "hold",
    "note",
    "fork_and_hold",
    "fork_that_returns",
    "start_process",
    "kill_self",
    "garble",
    "exit_at_once",
    "eat",
    "shut_channel",
    "frozen",
    "end_a_child",
)
"""The functions of tests/support/code/work.py; each is a task of its name."""


def functions(options: dict[str, str] | None = None, *, group: str = "", more: str = "") -> str:
    """A configuration with every function of `WORK` as a task.

    ``options`` are further lines of a task by its name, ``group`` further lines of its worker group,
    ``more`` further tables.
    """
    user = 'user = "root"\n' if os.geteuid() == 0 else ""
    tables = [f'[workers.default]\npythonpath = ["{CODE}"]\n{user}{group}\n']
    for name in WORK:
        extra = (options or {}).get(name, "")
        tables.append(f'[tasks.{name}]\nfunction = "work:{name}"\n{extra}\n')
    return "\n".join([*tables, more])
