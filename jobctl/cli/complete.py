"""Completion of names and ids: asked of the daemon, in no time, and silent about every trouble."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer  # noqa: TC002 -- Typer reads the annotations of these functions

if TYPE_CHECKING:
    from jobctl.protocol.requests import Request

_PATIENCE_S = 0.15
_MOST = 100


def task_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of tasks that begin so; empty on any error."""
    from jobctl.protocol.requests import Inspect

    return _beginning(ctx, incomplete, Inspect(what="registered"), "tasks", "name")


def job_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of the newest jobs that begin so, newest first; empty on any error."""
    from jobctl.protocol.requests import List

    return _beginning(ctx, incomplete, List(limit=_MOST), "jobs", "id")


def queue_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of queues that begin so; empty on any error."""
    from jobctl.protocol.requests import Inspect

    return _beginning(ctx, incomplete, Inspect(what="queues"), "queues", "name")


def group_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of worker groups that begin so; empty on any error."""
    from jobctl.protocol.requests import Inspect

    return _beginning(ctx, incomplete, Inspect(what="groups"), "groups", "group")


def schedule_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of schedules that begin so; empty on any error."""
    from jobctl.protocol.requests import Schedules

    request = Schedules(prefix=incomplete, limit=_MOST)
    return _beginning(ctx, incomplete, request, "schedules", "name")


def schedule_or_task_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of schedules and tasks that begin so, each once; empty on any error."""
    both = schedule_names(ctx, incomplete) + task_names(ctx, incomplete)
    return list(dict.fromkeys(both))


def _beginning(
    ctx: typer.Context, incomplete: str, request: Request, things: str, name: str
) -> list[str]:
    from jobctl.cli.places import find_socket
    from jobctl.client import Client
    from jobctl.errors import JobctlError

    given = ctx.find_root().params
    path = given.get("socket") or find_socket(given.get("config_file"), os.environ, os.getuid())
    try:
        with Client(Path(path), timeout_s=_PATIENCE_S) as client:
            found = [str(thing[name]) for thing in client.call(request)[things]]
    except (JobctlError, OSError, KeyError, TypeError):
        return []
    return [text for text in found if text.startswith(incomplete)]
