"""``notify test``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from jobctl.cli import options  # noqa: TC001 -- typer looks at it when it builds the command
from jobctl.cli.render import Column
from jobctl.cli.session import session_of

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Routes by which people are told."
)


@app.callback()
def _group() -> None:
    """Keep ``test`` a command of its own although it is the only one."""


@app.command("test")
def send_test(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[ROUTE]", help="A route; else each.", show_default=False),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Send a test by each route now, or by one, and say what came of it.

    The messages are tried once. Exit code 1 when one of them was not taken.
    """
    from jobctl.protocol.requests import Status, TestRoute, Wait

    session = session_of(ctx, as_json=as_json)
    # Each route keeps a time limit of its own.
    with session.client(timeout_s=None) as client:
        messages = client.call(TestRoute(route=name))["messages"]
        client.call(Wait(jobs=[message["id"] for message in messages]))
        rows = [_result(message, client.call(Status(job=message["id"]))) for message in messages]
    if session.as_json:
        session.screen.json({"messages": rows})
    else:
        columns = [
            Column("ROUTE"),
            Column("KIND"),
            Column("JOB", is_number=True),
            Column("SENT"),
            Column("SAID", may_be_cut=True),
        ]
        cells = (
            (row["route"], row["kind"], row["id"], "yes" if row["sent"] else "no", row["said"])
            for row in rows
        )
        session.screen.table(columns, cells, empty="no routes")
    return 0 if all(row["sent"] for row in rows) else 1


def _result(message: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    attempt = job["attempts"][-1] if job["attempts"] else {}
    tail = str(attempt.get("output_tail") or "").encode("latin-1").decode(errors="replace")
    error = attempt.get("error") or {}
    said = tail.strip().rpartition("\n")[2] or error.get("message") or job["reason"]
    return {**message, "sent": job["state"] == "SUCCESS", "said": said or None}
