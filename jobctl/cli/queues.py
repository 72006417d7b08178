"""``queue list|pause|resume|limit|purge``."""

from __future__ import annotations

from typing import Annotated

import typer

from jobctl.cli import complete, options
from jobctl.cli.session import session_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Queues.")

Names = Annotated[
    list[str],
    typer.Argument(metavar="QUEUE...", help="Queues.", autocompletion=complete.queue_names),
]


@app.command("list")
def list_queues(ctx: typer.Context, as_json: options.Json = False) -> int:
    """List queues: what waits and runs, their limits, who serves."""
    from jobctl.cli.inspect import queue_table
    from jobctl.protocol.requests import Inspect

    session = session_of(ctx, as_json=as_json)
    answer = session.call(Inspect(what="queues"))
    if session.as_json:
        session.screen.json(answer)
    else:
        queue_table(session, answer["queues"])
    return 0


@app.command()
def pause(ctx: typer.Context, names: Names, as_json: options.Json = False) -> int:
    """Start no more jobs of queues. What runs goes on. It survives restarts."""
    return _set(ctx, names, as_json, paused=True)


@app.command()
def resume(ctx: typer.Context, names: Names, as_json: options.Json = False) -> int:
    """Start jobs of queues again."""
    return _set(ctx, names, as_json, paused=False)


@app.command()
def limit(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="QUEUE", help="A queue.", autocompletion=complete.queue_names)
    ],
    concurrency: Annotated[
        str | None,
        typer.Option("--concurrency", metavar="N|none", help="How many of its jobs run at once."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            "--rate", metavar="RATE|none", help='How many begin in a span: "10/s", "5/m".'
        ),
    ] = None,
    burst: Annotated[
        str | None,
        typer.Option("--burst", metavar="N|none", help="How many begin at once after a pause."),
    ] = None,
    reset: Annotated[
        bool,
        typer.Option("--reset", help="Go by the configuration again, but for what is said here."),
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Set limits of a queue while the daemon runs, or show them.

    They go before those of the configuration, for jobs that wait too, and survive restarts and reloads until
    --reset.
    """
    from jobctl.protocol.requests import Limit

    session = session_of(ctx, as_json=as_json)
    limits: dict[str, int | str | None] = {}
    if concurrency is not None:
        limits["concurrency"] = _number(concurrency, "--concurrency")
    if rate is not None:
        limits["rate_limit"] = None if rate == "none" else rate
    if burst is not None:
        limits["rate_burst"] = _number(burst, "--burst")
    answer = session.call(Limit(queue=name, limits=limits or None, reset=reset))
    if session.as_json:
        session.screen.json(answer)
        return 0
    for key in ("concurrency", "rate_limit", "rate_burst"):
        if answer[key] is not None or key in answer["set"]:
            value = "no limit" if answer[key] is None else str(answer[key])
            by = "set by command" if key in answer["set"] else "of the configuration"
            session.screen.row(key, value, by)
    return 0


def _number(text: str, option: str) -> int | None:
    from jobctl.cli.numbers import read_whole
    from jobctl.errors import UsageError
    from jobctl.task.units import shown

    if text == "none":
        return None
    number = read_whole(text, low=1, high=1_000_000)
    if number is None:
        raise UsageError(
            f"{option}: {shown(text)} is not a number from 1 to 1000000",
            hint='Write a number, or "none" for no limit.',
        )
    return number


@app.command()
def purge(ctx: typer.Context, names: Names, as_json: options.Json = False) -> int:
    """Revoke every job that waits in queues, for whatever it waits.

    What runs goes on, and so does what is submitted meanwhile. "jobctl retry" brings a job back.
    """
    from jobctl.protocol.requests import Purge

    session = session_of(ctx, as_json=as_json)
    purged = []
    with session.client() as client:
        for name in names:
            answer = client.call(Purge(queue=name))
            revoked = answer["revoked"]
            while answer["next"] is not None:
                following = Purge(queue=name, until=answer["until"], next=answer["next"])
                answer = client.call(following)
                revoked += answer["revoked"]
            purged.append({"queue": name, "revoked": revoked})
    if session.as_json:
        session.screen.json({"queues": purged})
        return 0
    for queue in purged:
        session.screen.row(queue["queue"], f"{queue['revoked']} revoked")
    return 0


def _set(ctx: typer.Context, names: list[str], as_json: bool, *, paused: bool) -> int:
    from jobctl.protocol.requests import Pause

    session = session_of(ctx, as_json=as_json)
    with session.client() as client:
        answers = [client.call(Pause(queue=name, paused=paused)) for name in names]
    if session.as_json:
        session.screen.json({"queues": answers})
        return 0
    for answer in answers:
        session.screen.row(answer["queue"], "paused" if answer["paused"] else "resumed")
    return 0
