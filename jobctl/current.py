"""Which job the code that runs now belongs to.

A worker says it, once, by a function of its own; who asks is the Python side of jobctl, in the same
process. Imported by both: nothing else is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Source = Callable[[], "list[Any] | None"]

_source: Source | None = None


def set_source(source: Source) -> None:
    """Let `current_job` ask this function from now on: a worker's."""
    global _source
    _source = source


def current_job() -> list[Any] | None:
    """The job as its worker was given it, ``[token, id, task, limit_us, soft_us, payload]``; None outside of
    jobs."""
    return None if _source is None else _source()
