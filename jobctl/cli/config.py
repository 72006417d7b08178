"""``check``: judges a configuration without touching a daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobctl.cli import options  # noqa: TC001 -- Typer reads the annotations
from jobctl.cli.render import problem_shape
from jobctl.cli.session import session_of
from jobctl.errors import ConfigError


def check(
    ctx: typer.Context,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="Else the one that a daemon would read.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Check a configuration and tell every error.

    Each with file, line and column, the line itself and the nearest known key. Needs no daemon and changes
    nothing.
    """
    from jobctl.config import load_in_child

    session = session_of(ctx, as_json=as_json)
    path = Path(file) if file is not None else session.config_path()
    try:
        plan = load_in_child(path)
    except ConfigError as error:
        if not session.as_json:
            raise
        errors = [problem_shape(problem) for problem in error.problems]
        session.screen.json({"ok": False, "errors": errors})
        return error.exit_code
    if session.as_json:
        session.screen.json({"ok": True, "errors": []})
        return 0
    counts = ((len(plan.tasks), "task"), (len(plan.schedules), "schedule"))
    said = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)
    session.screen.line(f"{path}: ok, {said}")
    return 0
