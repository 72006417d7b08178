"""Output that a dead keeper has left in files.

A keeper says in its outcome where a command's output lies. One that is killed says nothing, and whoever
buries it knows its attempts by their tokens only. What it had written to their files stays there: the
attempt's row must name it, or nobody could read it, and nobody would ever remove it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from jobctl.result import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from jobctl.result import Outcome

_BY_OTHERS = (Verdict.LOST, Verdict.TIMEOUT, Verdict.CANCELLED)
"""What an attempt can have come to by the word of who buries its keeper."""


def name_left_output(outcome: Outcome, *, output: Path, stderr: Path) -> Outcome:
    """The outcome with what lies in the attempt's files, if it names no output and there are any.

    The length of a file is how much was written, as far as its keeper got.
    """
    if outcome.verdict not in _BY_OTHERS or outcome.output_bytes or outcome.output_file:
        return outcome
    if outcome.stderr_bytes is not None:
        # The keeper itself tells of two streams that are apart.
        return outcome
    output_bytes, stderr_bytes = _length(output), _length(stderr)
    if output_bytes is not None:
        outcome = replace(outcome, output_file=True, output_bytes=output_bytes)
    if stderr_bytes is not None:
        outcome = replace(outcome, stderr_file=True, stderr_bytes=stderr_bytes)
    return outcome


def _length(path: Path) -> int | None:
    """None: there is no such file."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
