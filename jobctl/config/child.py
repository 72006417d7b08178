"""The daemon's side of the configuration child (`jobctl.config.load`).

Start, reload and ``check`` read the configuration through it. `load_in_child` waits; a process with an
event loop uses `start_child`, reads the child's output when its descriptor is ready, and gives the whole
to `reading_result`, whose parts it takes between its turns. Standard library only, and no reader of TOML: that is what the child is for.
"""

from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from jobctl.config.problems import problem_from_json
from jobctl.errors import ConfigError, Problem
from jobctl.plan.file import MANY, FilePlan
from jobctl.steps import Steps, at_once, parts
from jobctl.task.units import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PATIENCE_S: Final = 60.0
"""How long `load_in_child` waits; a configuration of thousands of tasks takes about a second."""


def start_child(
    path: str | os.PathLike[str], *, python: str = sys.executable
) -> subprocess.Popen[bytes]:  # noqa: TID251 - named, not started, here
    """Start reading a configuration. Does not wait.

    ``stdout`` is a pipe that ends when the child has answered; read it to its end, ``wait()`` for the
    child and give the bytes to `parse_result`. Its standard error is this process's. Whoever started it
    reaps it.
    """
    # -P keeps the working directory off the module path: root may check a file while standing in a
    # folder where somebody else has put a json.py.
    command = [python, "-P", "-m", "jobctl.config.load", "--json", os.fspath(path)]
    return subprocess.Popen(  # noqa: TID251 - not an attempt: a short-lived part of this program
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )


def parse_result(output: bytes, path: str | os.PathLike[str]) -> FilePlan:
    """Give the plan that a child printed. Raises `ConfigError` with every problem that it printed.

    A child that died without an answer, or answered what cannot be understood, is a problem too.
    """
    return at_once(reading_result(output, path))


def reading_result(output: bytes, path: str | os.PathLike[str]) -> Steps[FilePlan]:
    """Do what `parse_result` does, a part of it at a time."""
    try:
        with collecting_later():
            lines = io.BytesIO(output)
            answer = json.loads(lines.readline())
            if answer["ok"]:
                return (yield from _reading_plan(answer, lines))
        problems = tuple(problem_from_json(data) for data in answer["errors"])
    except (ValueError, KeyError, TypeError, InvalidValue) as error:
        raise ConfigError((_no_answer(path, output, error),)) from None
    raise ConfigError(problems)


def _reading_plan(answer: dict[str, Any], lines: Iterable[bytes]) -> Steps[FilePlan]:
    # Line by line: a hundred thousand schedules as JSON take twice the memory of the plan.
    objects = map(json.loads, lines)
    found: dict[str, Any] = {}
    for name, read in MANY.items():
        items: list[Any] = []
        for some in parts(islice(objects, answer[name])):
            items.extend(map(read, some))
            yield
        if len(items) != answer[name]:
            raise ValueError("it was cut short")
        found[name] = tuple(items)
    plan = FilePlan.from_json({**answer["plan"], **dict.fromkeys(MANY, ())})
    return replace(plan, **found)


@contextmanager
def collecting_later() -> Iterator[None]:
    """Look for no garbage meanwhile: a plan is none, and each look through a growing one takes longer."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def load_in_child(
    path: str | os.PathLike[str], *, python: str = sys.executable, timeout_s: float = PATIENCE_S
) -> FilePlan:
    """Give the plan of a configuration file. Blocks for a good tenth of a second.

    Raises `ConfigError` with every problem, also when the child does not answer within ``timeout_s``
    (it is killed then).
    """
    with start_child(path, python=python) as child:
        try:
            output, _ = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
            message = f"reading the configuration took longer than {timeout_s:g} s and was ended"
            raise ConfigError((_whole_file(path, message, ""),)) from None
    return parse_result(output, path)


def _no_answer(path: str | os.PathLike[str], output: bytes, error: Exception) -> Problem:
    if not output:
        return _whole_file(
            path,
            "the process that reads the configuration ended without an answer",
            "Its own message stands before this one; the installation may be incomplete.",
        )
    return _whole_file(
        path,
        f"the process that reads the configuration gave an answer that is not understood: {error!r}",
        "Are two versions of jobctl installed over each other?",
    )


def _whole_file(path: str | os.PathLike[str], message: str, hint: str) -> Problem:
    return Problem(file=os.fspath(path), line=0, column=0, key="", message=message, hint=hint)
