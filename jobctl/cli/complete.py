"""Marks on options and arguments: what names or ids a shell may offer there.

`jobctl.cli.completion_maker` reads them; Typer, if it is ever asked itself, gets the same answer.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Offer = Callable[[str], list[str]]

KINDS: Final[dict[Offer, str]] = {}
"""What each mark stands for, in the words of `jobctl.cli.completing`."""


def _offering(kind: str) -> Offer:
    # A function, because Typer asks for its annotations.
    def offer(incomplete: str) -> list[str]:
        """Names or ids that begin so; empty on any trouble."""
        from jobctl.cli.completing import named

        return named(kind, incomplete, os.environ)

    KINDS[offer] = kind
    return offer


task_names = _offering("tasks")
job_ids = _offering("jobs")
queue_names = _offering("queues")
group_names = _offering("groups")
schedule_names = _offering("schedules")
schedule_or_task_names = _offering("schedules or tasks")
