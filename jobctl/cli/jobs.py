"""Jobs that exist: ``status``, ``list``, ``logs``, ``wait``, ``result``, ``cancel``, ``retry``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobctl.cli import complete, health, numbers, options, shapes, times, verdict
from jobctl.cli.bar import short
from jobctl.cli.page import error_lines, job_page, name_of
from jobctl.cli.render import Column
from jobctl.cli.session import session_of
from jobctl.cli.tree import took
from jobctl.cli.waiting import follow_output, wait_for
from jobctl.errors import Conflict, DaemonNotRunning, JobctlError, Unreachable, UsageError
from jobctl.job import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jobctl.cli.session import Session
    from jobctl.client import Client
    from jobctl.protocol.requests import Request

_PAGE = 1000
_SCREENFUL = 50
_MOST_WORKFLOWS = 100


def status(
    ctx: typer.Context,
    ids: Annotated[
        list[int] | None,
        typer.Argument(
            metavar="[ID...]",
            parser=numbers.parser(1, numbers.HIGHEST_ID),
            help="Ids of jobs; none: the overview.",
            autocompletion=complete.job_ids,
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="One line for a monitoring system; exit code 0 all is well, 1 warning, 2 critical, 3 unknown.",
        ),
    ] = False,
    late: health.Late = health.LATE,
    waiting: health.Waiting = health.WAITING,
    patience: health.Patience = health.PATIENCE,
    only: health.Only = None,
    critical: health.Critical = None,
    schedules: health.Schedules = None,
    as_json: options.Json = False,
) -> int:
    """Show jobs whole; without an id, the overview; with --check, whether all is well.

    A job is shown with its attempts and the end of its output. Also answers when no daemon runs, and says
    so. With --check, that is what it finds first, and what the store tells about schedules and queues
    follows.
    """
    from jobctl.protocol.requests import Status

    session = session_of(ctx, as_json=as_json)
    asked = health.Asked(
        late=late,
        waiting=waiting,
        patience=patience,
        only=only,
        critical=critical,
        schedules=schedules,
    )
    if check:
        return health.check(session, ids or [], asked)
    health.refuse_without_check(asked)
    screen = session.screen
    with session.reader() as client:
        if not ids:
            return _overview(session, client)
        if len(ids) == 1:
            job = client.call(Status(job=ids[0]))
            if session.as_json:
                screen.json(shapes.job_whole(job))
            else:
                screen.page(job_page(job, exact=not screen.is_terminal))
            return 0
        return _each(
            session,
            ids,
            lambda number: client.call(Status(job=number)),
            shape=shapes.job_whole,
            show=lambda job: _next_page(session, job, is_first=job["id"] == ids[0]),
        )


def _next_page(session: Session, job: dict[str, Any], *, is_first: bool) -> None:
    if not is_first:
        session.screen.line("")
    session.screen.page(job_page(job, exact=not session.screen.is_terminal))


def _overview(session: Session, client: Client) -> int:
    from jobctl.cli.inspect import active_table
    from jobctl.protocol.requests import Inspect

    stats = client.call(Inspect(what="stats"))
    jobs = client.call(Inspect(what="active"))["jobs"]
    if client.hello.get("daemon") == "down":
        # The other counters are those of the stand-in, which has only just begun.
        stats = {name: value for name, value in stats.items() if name.startswith("line ")}
    screen = session.screen
    if session.as_json:
        screen.json({"stats": shapes.with_times(stats), "jobs": shapes.with_times(jobs)})
        return 0
    screen.page([(name, _plain(value)) for name, value in stats.items()])
    if screen.is_terminal:
        screen.line("")
        active_table(session, jobs)
    return 0


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def list_jobs(
    ctx: typer.Context,
    states: Annotated[
        list[State] | None,
        typer.Option("--state", case_sensitive=False, help="Only these states."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task", metavar="NAME", help="Only this task.", autocompletion=complete.task_names
        ),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(
            "--queue", metavar="NAME", help="Only this queue.", autocompletion=complete.queue_names
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME=VALUE", help="Only with this label."),
    ] = None,
    limit: options.Limit = _SCREENFUL,
    before: Annotated[
        int | None,
        typer.Option(
            "--before",
            metavar="ID",
            parser=numbers.parser(1, numbers.HIGHEST_ID),
            help="Only jobs older than this.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All of them, without a limit.")
    ] = False,
    count: Annotated[bool, typer.Option("--count", help="Only count them.")] = False,
    workflows: Annotated[
        bool, typer.Option("--workflows", help="Whole workflows, each as a tree of its jobs.")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """List jobs, newest first.

    Filters combine. Also answers when no daemon runs, and says so.
    """
    from jobctl.cli.pairs import read_pairs
    from jobctl.protocol.requests import List

    session = session_of(ctx, as_json=as_json)
    if workflows:
        if states or task or queue or labels or everything or count:
            raise UsageError(
                "--workflows lists them whole: only --limit and --before go with it",
                hint="Leave the other options out.",
            )
        return _list_workflows(session, before, min(limit, _MOST_WORKFLOWS))

    def page(cursor: int | None, size: int) -> Request:
        return List(
            states=[state.value for state in states] if states else None,
            task=task,
            queue=queue,
            labels=read_pairs(labels, option="--label") or None,
            before=cursor,
            limit=size,
            count=count,
        )

    with session.reader() as client:
        if count:
            found = client.call(page(before, 1))["count"]
            if session.as_json:
                session.screen.json({"count": found})
            else:
                session.screen.line(str(found))
            return 0
        if everything:
            jobs: Iterable[dict[str, Any]] = _all_jobs(client, page, before)
            following = None
        else:
            answer = client.call(page(before, limit))
            jobs, following = answer["jobs"], answer.get("next")
        if session.as_json:
            session.screen.json({"jobs": [shapes.job(one) for one in jobs], "next": following})
            return 0
        _job_table(session, jobs, following)
    return 0


def _list_workflows(session: Session, before: int | None, limit: int) -> int:
    from jobctl.cli.tree import workflow_rows
    from jobctl.protocol.requests import Workflows

    screen = session.screen
    with session.reader() as client:
        answer = client.call(Workflows(before=before, limit=limit))
    found, following = answer["workflows"], answer["next"]
    if session.as_json:
        screen.json({"workflows": [shapes.workflow(one) for one in found], "next": following})
        return 0
    columns = [
        Column("ID", is_number=True),
        Column("WORKFLOW", may_be_cut=True),
        Column("STATE"),
        Column("SUBMITTED", may_be_left_out=True),
        Column("TOOK", is_number=True),
        Column("REASON", may_be_cut=True),
    ]
    screen.table(
        columns,
        workflow_rows(found, exact=not screen.is_terminal),
        empty="no workflows",
        caption=f"times: {times.zone_shown(session.clock.now())}",
    )
    if following is not None:
        screen.note(f"there are more: --before {following}")
    return 0


def _all_jobs(
    client: Client, page: Callable[[int | None, int], Request], cursor: int | None
) -> Iterator[dict[str, Any]]:
    while True:
        answer = client.call(page(cursor, _PAGE))
        yield from answer["jobs"]
        cursor = answer.get("next")
        if cursor is None:
            return


def _job_table(session: Session, jobs: Iterable[dict[str, Any]], following: int | None) -> None:
    screen = session.screen
    moment = times.shown if screen.is_terminal else times.iso
    columns = [
        Column("ID", is_number=True),
        Column("TASK", may_be_cut=True),
        Column("STATE"),
        Column("QUEUE", may_be_cut=True, may_be_left_out=True),
        Column("SUBMITTED"),
        Column("TOOK", is_number=True),
        Column("REASON", may_be_cut=True),
    ]
    screen.table(
        columns,
        (
            (
                job["id"],
                name_of(job),
                job["state"],
                job.get("queue"),
                None if job.get("submitted_at") is None else moment(job["submitted_at"]),
                took(job, exact=not screen.is_terminal),
                job.get("reason") or (short(job["progress"]) if job.get("progress") else None),
            )
            for job in jobs
        ),
        empty="no jobs",
        caption=f"times: {times.zone_shown(session.clock.now())}",
    )
    if following is not None:
        screen.note(f"there are more: --before {following}, or --all")


def logs(
    ctx: typer.Context,
    job: options.JobId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job ends.")
    ] = False,
    attempt: Annotated[
        int | None,
        typer.Option(
            "--attempt",
            metavar="N",
            parser=numbers.parser(1, 2**31 - 1),
            help="Of this attempt; else of the newest.",
        ),
    ] = None,
    tail: Annotated[
        str | None,
        typer.Option("--tail", metavar="SIZE", help='Only the last so many bytes: "4K".'),
    ] = None,
    only_stdout: Annotated[bool, typer.Option("--stdout", help="Standard output alone.")] = False,
    only_stderr: Annotated[
        bool, typer.Option("--stderr", help="Standard error alone, where it was kept apart.")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Print the output of a job as it is.

    Standard error that was kept apart goes to standard error, or with --stderr to standard output.

    Also answers when no daemon runs, and says so.
    """
    from jobctl.cli import shapes
    from jobctl.cli.output import OutputWriter
    from jobctl.protocol.requests import Logs

    session = session_of(ctx, as_json=as_json)
    if only_stdout and only_stderr:
        raise UsageError(
            "--stdout and --stderr exclude each other", hint="Leave both out to get both."
        )
    stream = "stdout" if only_stdout else "stderr" if only_stderr else None
    tail_bytes = None if tail is None else _size(tail)
    if follow and not session.as_json:
        follow_output(session, job, attempt=attempt, stream=stream, tail_bytes=tail_bytes)
        return 0
    request = Logs(job=job, attempt=attempt, stream=stream, tail_bytes=tail_bytes, follow=follow)
    with session.reader(timeout_s=None if follow else 30.0) as client:
        if session.as_json:
            *parts, final = client.stream(request)
            session.screen.json(shapes.output(job, parts, final))
            return 0
        writer = OutputWriter(session.screen, stream=stream, is_tail=tail_bytes is not None)
        for answer in client.stream(request):
            writer.take(answer)
    return 0


def _size(text: str) -> int:
    from jobctl.task.units import InvalidValue, parse_size

    try:
        return parse_size(text)
    except InvalidValue as error:
        raise UsageError(f"--tail: {error.message}", hint=error.hint) from None


def wait(
    ctx: typer.Context,
    ids: options.JobIds,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="SPAN", help="Wait no longer; exit with 124.")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Wait until jobs have ended, and exit with the job's own code.

    That is the command's exit code, 128 + signal, or 1 for a function that failed; 124 when the wait
    itself timed out, 125 when jobctl could not tell. Of several jobs it is the first code that is not 0.
    """
    session = session_of(ctx, as_json=as_json)
    timeout_s = None if timeout is None else times.parse_span(timeout, option="--timeout")
    answer, code = wait_for(session, ids, timeout_s=timeout_s)
    if session.as_json and answer is not None:
        session.screen.json(shapes.waited(answer))
    elif code == verdict.TIMED_OUT and answer is not None and answer.get("timed_out"):
        session.screen.note(f"jobctl: not ended within {timeout}")
    return code


def result(ctx: typer.Context, job: options.JobId, as_json: options.Json = False) -> int:
    """Print what a function returned, as JSON.

    Exits with 1 when the job failed, with 75 when it has not ended. Also answers when no daemon runs, and
    says so.
    """
    from jobctl.protocol.requests import Result

    session = session_of(ctx, as_json=as_json)
    with session.reader() as client:
        answer = client.call(Result(job=job))
    state = State(answer["state"])
    if state not in {State.SUCCESS, State.FAILURE, State.REVOKED}:
        raise Conflict(
            f"job {job} has not ended: it is {state.value}", hint=f"Wait for it: jobctl wait {job}"
        )
    if session.as_json:
        session.screen.json(shapes.result(answer))
    elif state is State.SUCCESS:
        session.screen.json(answer.get("result"))
    else:
        session.screen.note(f"jobctl: job {job} has no result: it is {state.value}")
        for line in error_lines(answer["error"]) if answer.get("error") else ():
            session.screen.note(line)
    return 0 if state is State.SUCCESS else 1


def cancel(
    ctx: typer.Context,
    ids: options.JobIds,
    signal: Annotated[
        str | None,
        typer.Option(
            "--signal",
            metavar="NAME",
            help="Send commands this signal instead of the first one of their stop sequence.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Cancel jobs, until no process of them is left; a workflow with all of its jobs.

    Should something remain all the same, it is named.
    """
    from jobctl.protocol.requests import Cancel

    session = session_of(ctx, as_json=as_json)

    def show(job: dict[str, Any]) -> None:
        remaining = job.get("remaining") or []
        if remaining:
            pids = ", ".join(str(pid) for pid in remaining)
            session.screen.note(f"jobctl: of job {job['id']} remain the processes {pids}")
        session.screen.row(job["id"], job["state"])

    with session.client(timeout_s=None) as client:
        return each_or_one(
            session,
            ids,
            lambda number: client.call(Cancel(job=number, signal=signal)),
            shape=shapes.cancelled,
            show=show,
        )


def retry(
    ctx: typer.Context,
    ids: options.JobIds,
    with_dependents: Annotated[
        bool,
        typer.Option(
            "--with-dependents",
            help="Also of those that were revoked because they waited for these.",
        ),
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Begin a fresh round of jobs that have ended.

    A workflow goes on from those of its jobs that have not succeeded. Their history is kept.
    """
    from jobctl.protocol.requests import Retry

    session = session_of(ctx, as_json=as_json)

    def show(job: dict[str, Any]) -> None:
        session.screen.row(job["id"], job["state"])
        for dependent in job.get("dependents") or ():
            session.screen.row(dependent, job["state"])

    with session.client() as client:
        return each_or_one(
            session,
            ids,
            lambda number: client.call(Retry(job=number, with_dependents=with_dependents)),
            shape=shapes.retried,
            show=show,
        )


def each_or_one(
    session: Session,
    ids: list[int],
    ask: Callable[[int], dict[str, Any]],
    *,
    shape: Callable[[dict[str, Any]], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
) -> int:
    """Ask for one job, or for several as `_each` does, and show the answers. The exit code."""
    if len(ids) > 1:
        return _each(session, ids, ask, shape=shape, show=show)
    answer = ask(ids[0])
    if session.as_json:
        session.screen.json(shape(answer))
    else:
        show(answer)
    return 0


def _each(
    session: Session,
    ids: list[int],
    ask: Callable[[int], dict[str, Any]],
    *,
    shape: Callable[[dict[str, Any]], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
) -> int:
    """Ask for several jobs; one that is refused does not keep the others back. Exit code of the first."""
    document: list[dict[str, Any]] = []
    code = 0
    for number in ids:
        try:
            answer = ask(number)
        except (Unreachable, DaemonNotRunning):
            raise
        except JobctlError as error:
            code = code or error.exit_code
            if session.as_json:
                fault = {"code": error.code, "message": error.message, "hint": error.hint}
                document.append({"id": number, "error": fault})
            else:
                session.screen.failure(error, as_json=False)
            continue
        if session.as_json:
            document.append(shape(answer))
        else:
            show(answer)
    if session.as_json:
        session.screen.json({"jobs": document})
    return code
