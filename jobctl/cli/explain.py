"""``explain``: what a schedule's expression means, in words, in normal form, with its next instants."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from jobctl.cli import numbers, options, times
from jobctl.cli.session import session_of

if TYPE_CHECKING:
    from jobctl.schedule.explain import Explanation


def explain(
    ctx: typer.Context,
    expression: Annotated[
        str,
        typer.Argument(metavar="EXPR", help='"30 2 * * *", "@daily", "90s", "2026-12-24 18:00".'),
    ],
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="Else the host's.")
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="As seen from then; else from now.")
    ] = None,
    count: Annotated[
        int,
        typer.Option(
            "-n",
            parser=numbers.parser(0, 1000),
            metavar="N",
            help="So many next instants, up to 1000.",
        ),
    ] = 5,
    as_json: options.Json = False,
) -> int:
    """Explain a schedule in words.

    With its normal form, its next instants and what to beware of. Needs no daemon.
    """
    from jobctl.schedule.explain import explain as explain_expression

    session = session_of(ctx, as_json=as_json)
    now_us = session.clock.now()
    from_at = now_us if begin is None else times.parse_moment(begin, option="--from", now_us=now_us)
    found = explain_expression(
        expression, from_at=from_at, timezone=timezone or host_zone(), count=count
    )
    if session.as_json:
        session.screen.json(_shape(found))
        return 0
    moments = [("next", moment) for moment in _instants(found)]
    session.screen.page(
        [
            ("schedule", found.normal),
            ("words", found.words),
            ("timezone", found.timezone),
            *(moments or [("next", "never")]),
            *((f"lint {lint.code}", lint.message) for lint in found.lints),
        ]
    )
    return 0


def host_zone() -> str:
    """The name of the host's zone: ``TZ``, else what ``/etc/localtime`` leads to, else ``UTC``."""
    import os
    from pathlib import Path

    named = os.environ.get("TZ", "").removeprefix(":")
    place = str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")[2]
    for name in (named, place.removeprefix("posix/")):
        try:
            return ZoneInfo(name).key if name else "UTC"
        except (ValueError, OSError, KeyError):
            continue
    return "UTC"


def _instants(found: Explanation) -> list[str]:
    zone = ZoneInfo(found.timezone)
    return [datetime.fromtimestamp(moment / 1_000_000, zone).isoformat() for moment in found.next]


def _shape(found: Explanation) -> dict[str, Any]:
    return {
        "expression": found.expression,
        "normal": found.normal,
        "words": found.words,
        "timezone": found.timezone,
        "next": _instants(found),
        "lints": [{"code": str(lint.code), "message": lint.message} for lint in found.lints],
    }
