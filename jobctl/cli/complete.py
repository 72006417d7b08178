"""Completion of names and ids: asked of the daemon, in no time, and silent about every trouble."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer  # noqa: TC002 -- Typer reads the annotations of these functions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobctl.protocol.requests import Request

_PATIENCE_S = 0.15
_MOST = 100


def task_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of tasks that begin so; empty on any error."""
    from jobctl.protocol.requests import Inspect

    answer = _ask(ctx, Inspect(what="registered"))
    return _beginning(incomplete, (task.get("name") for task in answer.get("tasks", ())))


def job_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of the newest jobs that begin so, newest first; empty on any error."""
    from jobctl.protocol.requests import List

    answer = _ask(ctx, List(limit=_MOST))
    return _beginning(incomplete, (job.get("id") for job in answer.get("jobs", ())))


def queue_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of queues that begin so; empty on any error."""
    from jobctl.protocol.requests import Inspect

    answer = _ask(ctx, Inspect(what="queues"))
    return _beginning(incomplete, (queue.get("name") for queue in answer.get("queues", ())))


def schedule_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of schedules that begin so; empty on any error."""
    from jobctl.protocol.requests import Schedules

    answer = _ask(ctx, Schedules())
    return _beginning(incomplete, (one.get("name") for one in answer.get("schedules", ())))


def _beginning(incomplete: str, names: Iterable[object]) -> list[str]:
    return [str(name) for name in names if str(name).startswith(incomplete)]


def _ask(ctx: typer.Context, request: Request) -> dict[str, Any]:
    from jobctl.cli.places import find_socket
    from jobctl.client import Client
    from jobctl.errors import JobctlError

    given = ctx.find_root().params
    path = given.get("socket") or find_socket(given.get("config"), os.environ, os.getuid())
    try:
        with Client(Path(path), timeout_s=_PATIENCE_S) as client:
            return client.call(request)
    except (JobctlError, OSError):
        return {}
