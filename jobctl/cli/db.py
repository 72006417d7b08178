"""``db check|backup|restore|prune|stats``: care of the store.

While a daemon runs the store is its own: it makes the copies and counts the rows. What takes as long as the
disk takes (verifying a copy), and what needs that no daemon runs, is done by a child, `jobctl.daemon.care`;
the command line itself never opens a store.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobctl.cli import numbers, options
from jobctl.cli.child import run_child
from jobctl.cli.session import session_of

if TYPE_CHECKING:
    from jobctl.cli.session import Session

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Care of the store: check, back up, restore."
)

_MODULE = "jobctl.daemon.care"

StateDir = Annotated[
    str | None,
    typer.Option(
        "--state-dir", metavar="DIR", help="When no daemon runs: instead of the configuration's."
    ),
]


@app.command()
def check(
    ctx: typer.Context,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="A backup; else the store.")
    ] = None,
    state_dir: StateDir = None,
    as_json: options.Json = False,
) -> int:
    """Check the store, or a backup of it.

    Pages, indexes and constraints, and what must hold between rows. The store is copied for that while the
    daemon goes on, so there must be room for a copy. Exit code 1 when something does not hold.
    """
    session = session_of(ctx, as_json=as_json)
    if file is not None:
        found = run_child(_MODULE, "check", str(Path(file).absolute()))
    else:
        copy = _copied(session, None)
        if copy is None:
            found = run_child(_MODULE, "check", *_place(session, state_dir))
        else:
            found = run_child(_MODULE, "check", copy["unfinished"], "--drop")
    if session.as_json:
        session.screen.json(found)
        return 0 if found["ok"] else 1
    for finding in found["violations"]:
        session.screen.line(f"{finding['check']} ({finding['invariant']}): {finding['message']}")
    for finding in found["remarks"]:
        session.screen.note(f"remark: {finding['message']}")
    if found["ok"]:
        session.screen.line(f"ok: jobs {found['jobs']}")
    return 0 if found["ok"] else 1


@app.command()
def backup(
    ctx: typer.Context,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="Where to; else a file of its own in the state directory."
        ),
    ] = None,
    state_dir: StateDir = None,
    as_json: options.Json = False,
) -> int:
    """Back the store up into one file, verified, while the daemon runs.

    The file appears when it is whole, checked and on stable storage. Outputs that are too long for the store
    are not part of it.
    """
    session = session_of(ctx, as_json=as_json)
    path = None if file is None else str(Path(file).absolute())
    copy = _copied(session, path)
    if copy is None:
        told = run_child(_MODULE, "backup", *([path] if path else []), *_place(session, state_dir))
    else:
        told = run_child(_MODULE, "finish", copy["path"])
    if session.as_json:
        session.screen.json(told)
    else:
        session.screen.line(told["path"])
    return 0


@app.command()
def restore(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What jobctl db backup has made.")],
    no_merge: Annotated[
        bool,
        typer.Option(
            "--no-merge", help="Take nothing from the store that is there: jobs may run again."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would become of it, and change nothing.")
    ] = False,
    state_dir: StateDir = None,
    as_json: options.Json = False,
) -> int:
    """Put a backup in the place of the store. No daemon may run.

    The old store is kept aside. What can be read of it is brought in: newer jobs, and what became of those
    that had not ended; so are outcomes that wait on disk. Cut short, the same command goes on.
    """
    session = session_of(ctx, as_json=as_json)
    words = [str(Path(file).absolute()), *_place(session, state_dir)]
    told = run_child(
        _MODULE, "restore", *words, *["--no-merge"] * no_merge, *["--dry-run"] * dry_run
    )
    if session.as_json:
        session.screen.json(told)
        return 0
    merged = told["merged"]
    lines = [
        ("jobs", f"{told['jobs']}, {told['unfinished']} of them not ended"),
        ("of the backup", f"{told['backup_jobs']} jobs"),
        ("of the old store", f"{merged['jobs']} jobs, {merged['unreadable']} that cannot be read"),
        ("schedules", "of the old store" if merged["has_schedules"] else "of the backup"),
        ("outcomes", f"{merged['outcomes']} waited on disk"),
    ]
    if merged["unknown"]:
        ids = ", ".join(map(str, merged["unknown"][:20]))
        lines.append(("not known", f"jobs with an outcome on disk, and no row: {ids}"))
    lines.append(("old store", told["aside"] or "in its place: nothing was changed"))
    session.screen.page(lines)
    return 0


@app.command()
def prune(
    ctx: typer.Context,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep", metavar="SPAN", help="Jobs that ended longer ago go; else as configured."
        ),
    ] = None,
    keep_jobs: Annotated[
        int | None,
        typer.Option(
            "--keep-jobs",
            metavar="N",
            parser=numbers.parser(0, 1_000_000_000),
            help="All but so many jobs go; else as configured.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Remove old jobs that have ended, with attempts and outputs, now.

    The daemon does so by itself every ten minutes. What is configured is never exceeded: this removes more,
    never less. In small batches: nobody waits for it.
    """
    from jobctl.cli.times import parse_span
    from jobctl.protocol.requests import Prune

    session = session_of(ctx, as_json=as_json)
    keep_s = None if keep is None else parse_span(keep, option="--keep")
    answer = session.call(Prune(keep_s=keep_s, keep_jobs=keep_jobs), timeout_s=None)
    if session.as_json:
        session.screen.json(answer)
    else:
        session.screen.line(f"jobs removed: {answer['removed']}")
    return 0


@app.command()
def stats(ctx: typer.Context, as_json: options.Json = False) -> int:
    """Tell how large the store is: rows, pages, log, growth."""
    from jobctl.protocol.requests import StoreStats

    session = session_of(ctx, as_json=as_json)
    with session.reader(timeout_s=None) as client:
        answer = client.call(StoreStats())
    if session.as_json:
        session.screen.json(answer)
        return 0
    page = answer["page_bytes"]
    session.screen.page(
        [
            ("file", f"{_size(answer['file_bytes'])}, {answer['file_bytes'] // page} pages"),
            ("free in it", f"{_size(answer['free_bytes'])}, {answer['free_bytes'] // page} pages"),
            ("log", _size(answer["log_bytes"])),
            ("disk", f"{_size(answer['disk_free_bytes'])} free"),
            *((state, f"{count} jobs") for state, count in answer["jobs"].items()),
            *((f"rows of {name}", str(count)) for name, count in answer["tables"].items()),
            ("in a day", f"{answer['submitted_in_day']} jobs submitted"),
            ("in a week", f"{answer['submitted_in_week']} jobs submitted"),
            ("growth", f"{_size(answer['growth_bytes_per_day'])} a day, if nothing is removed"),
            ("a job", _size(answer["bytes_per_job"])),
        ]
    )
    return 0


def _size(count: int) -> str:
    """Bytes for people, in the largest unit of which there is one at least."""
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << shift:
            return f"{count / (1 << shift):.1f} {unit}"
    return f"{count} bytes"


def _copied(session: Session, path: str | None) -> dict[str, Any] | None:
    """The copy that the running daemon has made; None when none runs."""
    from jobctl.errors import DaemonNotRunning
    from jobctl.protocol.requests import Backup

    client = session.client(timeout_s=None)
    try:
        client.connect()
    except DaemonNotRunning:
        return None
    with client:
        return client.call(Backup(path=path))


def _place(session: Session, state_dir: str | None) -> list[str]:
    return ["--state-dir", str(Path(state_dir).absolute() if state_dir else session.state_dir())]
