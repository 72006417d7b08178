"""``inspect``: looks into the running daemon, by the names that users of ``celery inspect`` expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from jobctl.cli import options, shapes, times
from jobctl.cli.page import name_of
from jobctl.cli.render import Column
from jobctl.cli.session import session_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobctl.cli.session import Session

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look into the running daemon.")


def _ask(ctx: typer.Context, what: str, as_json: bool, limit: int = 100) -> tuple[Session, Any]:
    """The session and the answer; None as the answer when it has been printed as JSON."""
    from jobctl.protocol.requests import Inspect

    session = session_of(ctx, as_json=as_json)
    answer = session.call(Inspect(what=what, limit=limit))
    if session.as_json:
        session.screen.json(shapes.with_times(answer))
        return session, None
    return session, answer


@app.command()
def ping(ctx: typer.Context, as_json: options.Json = False) -> int:
    """Is a daemon there, which one, since when."""
    session, answer = _ask(ctx, "ping", as_json)
    if answer is not None:
        session.screen.page([(name, _text(value)) for name, value in answer.items()])
    return 0


@app.command()
def active(ctx: typer.Context, limit: options.Limit = 100, as_json: options.Json = False) -> int:
    """Jobs that run now."""
    session, answer = _ask(ctx, "active", as_json, limit)
    if answer is not None:
        active_table(session, answer["jobs"])
    return 0


def active_table(session: Session, jobs: Iterable[dict[str, Any]]) -> None:
    """Draw the jobs of ``inspect active``."""
    _table(
        session,
        [
            Column("ID", is_number=True),
            Column("TASK", may_be_cut=True),
            Column("ATTEMPT", is_number=True),
            Column("QUEUE", may_be_cut=True),
            Column("STARTED"),
            Column("WORKER", may_be_cut=True),
        ],
        (
            (
                job.get("id"),
                name_of(job),
                job.get("number"),
                job.get("queue"),
                _moment(session, job.get("started_at")),
                job.get("worker"),
            )
            for job in jobs
        ),
        empty="nothing runs",
    )


@app.command()
def reserved(ctx: typer.Context, limit: options.Limit = 100, as_json: options.Json = False) -> int:
    """Jobs that were handed to workers and have not begun."""
    session, answer = _ask(ctx, "reserved", as_json, limit)
    if answer is not None:
        columns = [
            Column("ID", is_number=True),
            Column("TASK", may_be_cut=True),
            Column("QUEUE", may_be_cut=True),
            Column("WORKER", may_be_cut=True),
        ]
        rows = (
            (job.get("id"), name_of(job), job.get("queue"), job.get("worker"))
            for job in answer["jobs"]
        )
        _table(session, columns, rows, empty="nothing is reserved")
    return 0


@app.command()
def scheduled(ctx: typer.Context, limit: options.Limit = 100, as_json: options.Json = False) -> int:
    """Jobs that wait for their ETA, the soonest first."""
    session, answer = _ask(ctx, "scheduled", as_json, limit)
    if answer is not None:
        columns = [Column("ID", is_number=True), Column("TASK", may_be_cut=True), Column("ETA")]
        rows = (
            (job.get("id"), name_of(job), _moment(session, job.get("eta")))
            for job in answer["jobs"]
        )
        _table(session, columns, rows, empty="nothing waits for its time")
    return 0


@app.command()
def registered(
    ctx: typer.Context, limit: options.Limit = 1000, as_json: options.Json = False
) -> int:
    """Tasks that the daemon knows, and where each stands."""
    session, answer = _ask(ctx, "registered", as_json, limit)
    if answer is not None:
        columns = [
            Column("NAME", may_be_cut=True),
            Column("KIND"),
            Column("QUEUE", may_be_cut=True),
            Column("SOURCE", may_be_cut=True),
            Column("DESCRIPTION", may_be_cut=True),
        ]
        rows = (
            [_text(task.get(column.title.lower())) for column in columns]
            for task in answer["tasks"]
        )
        _table(session, columns, rows, empty="no tasks")
    return 0


@app.command()
def queues(ctx: typer.Context, as_json: options.Json = False) -> int:
    """Queues: what waits and runs, their limits, who serves them."""
    session, answer = _ask(ctx, "queues", as_json)
    if answer is not None:
        queue_table(session, answer["queues"])
    return 0


def queue_table(session: Session, found: Iterable[dict[str, Any]]) -> None:
    """Draw the queues of ``inspect queues`` and ``queue list``."""
    columns = [
        Column("NAME", may_be_cut=True),
        Column("PAUSED"),
        Column("READY", is_number=True),
        Column("RUNNING", is_number=True),
        Column("CONCURRENCY", is_number=True, may_be_left_out=True),
        Column("RATE", may_be_left_out=True),
        Column("SET BY COMMAND", may_be_cut=True, may_be_left_out=True),
        Column("WORKERS", may_be_cut=True),
    ]
    rows = (
        (
            queue.get("name"),
            bool(queue.get("paused")),
            queue.get("ready"),
            queue.get("running"),
            queue.get("concurrency"),
            _rate_shown(queue),
            _text(queue.get("set")),
            _text(queue.get("workers")),
        )
        for queue in found
    )
    _table(session, columns, rows, empty="no queues", has_times=False)


def _rate_shown(queue: dict[str, Any]) -> str | None:
    rate, burst = queue.get("rate_limit"), queue.get("rate_burst")
    return f"{rate} burst {burst}" if rate and burst else rate


@app.command()
def workers(ctx: typer.Context, limit: options.Limit = 1000, as_json: options.Json = False) -> int:
    """Templates, workers and keepers."""
    session, answer = _ask(ctx, "workers", as_json, limit)
    if answer is not None:
        columns = [
            Column("INSTANCE", may_be_cut=True),
            Column("KIND"),
            Column("GROUP", may_be_cut=True),
            Column("PID", is_number=True),
            Column("PHASE"),
            Column("ATTEMPTS", may_be_cut=True),
            Column("MADE", is_number=True),
            Column("LEFTOVERS", may_be_cut=True),
        ]
        for worker in answer["workers"]:
            if worker.get("blocked_by") is not None:
                worker["phase"] = f"blocked by {worker['blocked_by']}"
        rows = (
            [_text(worker.get(column.title.lower())) for column in columns]
            for worker in answer["workers"]
        )
        _table(session, columns, rows, empty="no workers", has_times=False)
    return 0


@app.command()
def stats(ctx: typer.Context, as_json: options.Json = False) -> int:
    """Counters of the daemon since its start."""
    session, answer = _ask(ctx, "stats", as_json)
    if answer is not None:
        session.screen.page([(name, _text(value)) for name, value in answer.items()])
    return 0


@app.command()
def conf(ctx: typer.Context, as_json: options.Json = False) -> int:
    """What is in force: file, code and stored schedules, merged."""
    session, answer = _ask(ctx, "conf", as_json)
    if answer is not None:
        session.screen.page(list(_flat("", answer)))
    return 0


def _flat(prefix: str, value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, member in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), member)
    elif isinstance(value, list) and any(isinstance(member, dict) for member in value):
        for place, member in enumerate(value):
            yield from _flat(f"{prefix}.{place}", member)
    else:
        yield prefix, _text(value)


def _table(
    session: Session,
    columns: list[Column],
    rows: Iterable[Any],
    *,
    empty: str,
    has_times: bool = True,
) -> None:
    zone = f"times: {times.zone_shown(session.clock.now())}"
    has_times = has_times and any(column.title in {"STARTED", "ETA"} for column in columns)
    session.screen.table(columns, rows, empty=empty, caption=zone if has_times else "")


def _moment(session: Session, moment_us: int | None) -> str | None:
    if moment_us is None:
        return None
    return times.shown(moment_us) if session.screen.is_terminal else times.iso(moment_us)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and not any(isinstance(member, list | dict) for member in value):
        return " ".join(_text(member) for member in value)
    if isinstance(value, list | dict):
        from jobctl.protocol.compact import dumps

        return dumps(value)
    return str(value)
