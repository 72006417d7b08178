"""``check``: judges a configuration without touching a daemon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobctl.cli import options  # noqa: TC001 -- Typer reads the annotations
from jobctl.cli.render import problem_shape
from jobctl.cli.session import session_of
from jobctl.errors import ConfigError

if TYPE_CHECKING:
    from jobctl.clock import Moment
    from jobctl.plan import FilePlan


def check(
    ctx: typer.Context,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="Else the one that a daemon would read.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Check a configuration and tell every error.

    Each with file, line and column, the line itself and the nearest known key. What is allowed but seldom
    meant (a schedule that never fires again, say) is a warning. Needs no daemon and changes nothing.
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
        session.screen.json({"ok": False, "errors": errors, "warnings": []})
        return error.exit_code
    warnings = _warnings(plan, session.clock.now())
    if session.as_json:
        session.screen.json({"ok": True, "errors": [], "warnings": warnings})
        return 0
    counts = ((len(plan.tasks), "task"), (len(plan.schedules), "schedule"))
    said = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)
    session.screen.line(f"{path}: ok, {said}")
    for warning in warnings:
        place = f"{warning['file']}:{warning['line']}"
        about = f'schedule "{warning["schedule"]}": {warning["code"]}'
        session.screen.line(f"{place}: warning: {about}: {warning['message']}")
    return 0


def _warnings(plan: FilePlan, now: Moment) -> list[dict[str, Any]]:
    """What is allowed but seldom meant: ``file line schedule code message`` of each."""
    # Only here: an error in the file must not wait for what reads schedules.
    from jobctl.cli.explain import host_zone
    from jobctl.plan.lints import lints_of_file

    return [
        {
            "file": spec.source.file,
            "line": spec.source.line,
            "schedule": spec.name,
            "code": lint.code.value,
            "message": lint.message,
        }
        for spec, lint in lints_of_file(plan, now=now, host_timezone=host_zone())
    ]
