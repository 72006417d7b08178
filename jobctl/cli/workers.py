"""``worker list|scale|restart``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobctl.cli import complete, numbers, options
from jobctl.cli.render import Column
from jobctl.cli.session import session_of
from jobctl.cli.times import span_shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobctl.cli.session import Session

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Worker groups and their processes."
)

Name = Annotated[
    str,
    typer.Argument(metavar="GROUP", help="A worker group.", autocompletion=complete.group_names),
]


@app.command("list")
def list_workers(ctx: typer.Context, as_json: options.Json = False) -> int:
    """List worker groups: their size, what runs, each process."""
    from jobctl.protocol.requests import Inspect

    session = session_of(ctx, as_json=as_json)
    answer = session.call(Inspect(what="groups"))
    if session.as_json:
        session.screen.json(answer)
        return 0
    _group_table(session, answer["groups"])
    session.screen.line("")
    _process_table(session, answer["groups"])
    return 0


def _group_table(session: Session, groups: list[dict[str, Any]]) -> None:
    columns = [
        Column("GROUP", may_be_cut=True),
        Column("POOL"),
        Column("FUNCTIONS", is_number=True),
        Column("COMMANDS", is_number=True),
        Column("SET BY COMMAND", may_be_cut=True, may_be_left_out=True),
        Column("QUEUES", may_be_cut=True),
    ]
    rows = (
        (
            group["group"],
            group["pool"] if group["template"] else None,
            f"{group['functions_running']}/{group['processes'] * group['concurrency']}"
            if group["template"]
            else None,
            f"{group['commands_running']}/{group['commands']}",
            " ".join(group["set"]),
            " ".join(group["queues"]) or "(all others)",
        )
        for group in groups
    )
    session.screen.table(columns, rows, empty="no worker groups")


def _process_table(session: Session, groups: list[dict[str, Any]]) -> None:
    columns = [
        Column("PID", is_number=True),
        Column("GROUP", may_be_cut=True),
        Column("KIND"),
        Column("STATE", may_be_cut=True),
        Column("MADE", is_number=True),
        Column("AGE", is_number=True),
        Column("MEMORY", is_number=True),
        Column("JOBS", may_be_cut=True, may_be_left_out=True),
    ]
    session.screen.table(columns, _process_rows(groups), empty="no processes")


def _process_rows(groups: list[dict[str, Any]]) -> Iterator[tuple[object, ...]]:
    for group in groups:
        template = group["template"]
        if template is not None:
            yield _process_row(group, {"kind": "template", **template})
        for worker in group["workers"]:
            yield _process_row(group, worker)


def _process_row(group: dict[str, Any], process: dict[str, Any]) -> tuple[object, ...]:
    age_s, memory_bytes = process["age_s"], process["memory_bytes"]
    return (
        process["pid"],
        group["group"],
        process["kind"],
        process.get("state"),
        process.get("made"),
        None if age_s is None else span_shown(age_s),
        None if memory_bytes is None else f"{memory_bytes / (1 << 20):.0f} MiB",
        " ".join(str(job) for job in process.get("attempts") or ()),
    )


@app.command()
def scale(
    ctx: typer.Context,
    name: Name,
    processes: Annotated[
        int | None,
        typer.Argument(
            metavar="[N]",
            parser=numbers.parser(1, 4096),
            help="How many of its workers run functions.",
            show_default=False,
        ),
    ] = None,
    commands: Annotated[
        int | None,
        typer.Option(
            "--commands",
            metavar="N",
            parser=numbers.parser(1, 65536),
            help="How many commands it runs at once.",
        ),
    ] = None,
    reset: Annotated[
        bool,
        typer.Option("--reset", help="Go by the configuration again, but for what is said here."),
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Set how much a group runs at once, or show it.

    It goes before the configuration and survives restarts and reloads until --reset. What runs goes on: of
    too many workers those that are busy leave when they have ended what they have.
    """
    from jobctl.protocol.requests import Scale

    session = session_of(ctx, as_json=as_json)
    request = Scale(group=name, processes=processes, commands=commands, reset=reset)
    answer = session.call(request)
    if session.as_json:
        session.screen.json(answer)
        return 0
    for key in ("processes", "commands"):
        by = "set by command" if key in answer["set"] else "of the configuration"
        session.screen.row(key, answer[key], by)
    return 0


@app.command()
def restart(ctx: typer.Context, name: Name, as_json: options.Json = False) -> int:
    """Give a group new processes, with its code as it is now.

    No job ends for it: a worker goes when a new one serves in its place, and a busy one after its job. What
    cannot be imported, or declares other tasks than before, is refused, and the group goes on with the code
    that it has; "jobctl reload" brings new declarations into force.
    """
    from jobctl.protocol.requests import Restart

    session = session_of(ctx, as_json=as_json)
    # Its modules are imported before the answer comes; that takes what it takes.
    answer = session.call(Restart(group=name), timeout_s=None)
    if session.as_json:
        session.screen.json(answer)
    else:
        count = answer["replaced"]
        session.screen.row(name, f"{count} {'worker' if count == 1 else 'workers'} replaced")
    return 0
