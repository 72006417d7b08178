"""The rows of new jobs: of tasks, of schedules and of commands of their own, judged before anything is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from jobctl.arguments import Call as Bound
from jobctl.arguments import (
    Exact,
    Given,
    Texts,
    Typed,
    bind,
    build_argv,
    takes,
    texts,
    with_defaults,
)
from jobctl.clock import SECOND, Moment
from jobctl.daemon.station import Pattern
from jobctl.errors import InvalidArguments, NotAllowed, UsageError
from jobctl.job import Reason
from jobctl.plan.gates import gate_of, is_paced, unique_key_of
from jobctl.plan.senders import is_ours
from jobctl.protocol.requests import NewJob
from jobctl.store import jobs as job_rows
from jobctl.store.jobs import (
    AFTER_LINE,
    ETA_LINE,
    gate_line,
    parked_line,
    ready_line,
    schedule_line,
)
from jobctl.task import DEFAULT_QUEUE, Kind, Share, Task
from jobctl.task.keys import ENVIRONMENT, FOLDER, NAME
from jobctl.task.units import InvalidValue, format_span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.arguments import Parameter
    from jobctl.daemon.station import Station
    from jobctl.plan import ScheduleSpec
    from jobctl.task.keys import Json

MAX_LABELS: Final = 32
MAX_RETRIES: Final = 1_000_000

LAST_MOMENT: Final = 253_402_300_799 * SECOND
"""The end of the year 9999: what lies later has no date."""

dumps: Final = json.JSONEncoder(separators=(",", ":")).encode
"""Compact JSON text of what the store keeps of a job."""


def plain_task_row(
    station: Station,
    task: Task,
    args: Sequence[Json],
    kwargs: Mapping[str, Json],
    now: Moment,
    *,
    uid: int,
    schedule: int | None = None,
) -> job_rows.NewJob | None:
    """The row of a job that says nothing but its task and arguments that are values already.

    What follows from the task alone is worked out once for each task and plan: the row of its first job is
    the pattern of all others. None: more than the task decides about its jobs; `new_task_row` knows. Raises
    what that one raises.
    """
    pattern = station.patterns.get(task.name)
    if pattern is not None:
        return row_like(station, pattern, args, kwargs, now, uid=uid, schedule=schedule)
    has_end = task.expires_s is not None or task.deadline_s is not None
    if has_end or task.name in station.plan.unavailable:
        return None
    if task.concurrency_key is not None or task.unique is not None:
        # What follows from the arguments is worked out for each job.
        return None
    given = Given.exact(args, kwargs)
    row = new_task_row(station, task, given, now, uid=uid, schedule=schedule)
    without_arguments = None if args or kwargs else row.payload
    station.patterns[task.name] = Pattern(task, row, without_arguments)
    return row


def row_like(
    station: Station,
    pattern: Pattern,
    args: Sequence[Json],
    kwargs: Mapping[str, Json],
    now: Moment,
    *,
    uid: int,
    schedule: int | None = None,
) -> job_rows.NewJob:
    """The row of one more plain job of a pattern's task. Raises InvalidArguments."""
    if args or kwargs:
        payload = _payload_of_values(station, pattern.task, args, kwargs)
    elif pattern.payload is None:
        payload = _payload_of_values(station, pattern.task, (), {})
        station.patterns[pattern.task.name] = pattern._replace(payload=payload)
    else:
        payload = pattern.payload
    return pattern.row.again(
        id=station.ids.take(), payload=payload, uid=uid, schedule=schedule, now=now
    )


def _payload_of_values(
    station: Station, task: Task, args: Sequence[Json], kwargs: Mapping[str, Json]
) -> str:
    """The arguments as the task takes them, as JSON. Raises InvalidArguments."""
    args = args or task.args
    is_simple = task.kind is Kind.FUNCTION and not kwargs and not task.kwargs
    if is_simple and takes(station.plan.parameters.get(task.name), args):
        return dumps({"args": args, "kwargs": {}})
    return _payload(station, task, with_defaults(Given.exact(args, kwargs), (), task.kwargs))


def new_row(station: Station, uid: int, job: NewJob, now: Moment) -> job_rows.NewJob:
    """Judge one job and make its row.

    Raises:
        NotFound: no such task. InvalidArguments, UsageError, NotAllowed: it cannot be done like that.
    """
    if (job.task is None) == (job.command is None):
        raise UsageError("a job is either of a task or a command of its own")
    if is_ours(job.task or "") or is_ours(job.queue or ""):
        # Who may submit could speak in the name of the daemon, or keep its senders busy.
        raise NotAllowed(
            "only the daemon itself makes jobs there: they are its messages to people",
            hint="jobctl notify test sends one by each route.",
        )
    if job.task is not None:
        if job.task not in station.plan.tasks:
            # Judged before anybody looks for a similar name, which takes a while with a long one.
            check_name("task", job.task)
        return new_task_row(
            station,
            station.plan.task(job.task),
            given_of(job),
            now,
            uid=uid,
            options=job,
        )
    return _new_command_row(station, uid, job, now)


def new_task_row(
    station: Station,
    task: Task,
    given: Given,
    now: Moment,
    *,
    uid: int,
    options: NewJob | None = None,
    schedule: int | None = None,
) -> job_rows.NewJob:
    """The row of a new job of a task."""
    job = options or NewJob(task=task.name)
    parameters = station.plan.parameters.get(task.name)
    if job.each is not None:
        call: Bound | Texts = _call_for_each(task, parameters, job)
    else:
        call = _call(station, task, with_defaults(given, task.args, task.kwargs))
    timeout_s = job.timeout_s if job.timeout_s is not None else task.timeout_s
    queue = job.queue if job.queue is not None else task.queue
    kind = task.kind.value
    deadline_s = job.deadline_s if job.deadline_s is not None else task.deadline_s
    soft_timeout_s = job.soft_timeout_s if job.soft_timeout_s is not None else task.soft_timeout_s
    # What a task usually takes is not known yet: a soft limit may come before it or after.
    hard_s = None if isinstance(timeout_s, Share) else timeout_s
    _check_soft_timeout(job.soft_timeout_s, hard_s, deadline_s)
    limits = (timeout_s, soft_timeout_s, deadline_s)
    has_limit = any(limit_s is not None for limit_s in limits)
    is_alone = has_limit or is_paced(station.plan, queue, task)
    if task.kind is Kind.FUNCTION and has_limit:
        _check_stoppable(station, queue)
    if task.kind is Kind.FUNCTION and is_alone:
        kind = "limited"
    unavailable = station.plan.unavailable.get(task.name)
    return _row(
        station,
        job,
        now,
        uid=uid,
        kind=kind,
        task=task.name,
        payload=_text_of(call, **_extras(task, job)),
        own_line=task.name if task.has_own_line else None,
        gate=gate_of(task, call.args, call.kwargs, parameters),
        unique_key=unique_key_of(task, call.args, call.kwargs, parameters),
        queue=queue,
        priority=job.priority if job.priority is not None else task.priority,
        expires_s=task.expires_s,
        deadline_s=deadline_s,
        schedule=schedule,
        unavailable=unavailable,
    )


def _check_soft_timeout(
    soft_s: float | None, timeout_s: float | None, deadline_s: float | None
) -> None:
    """Judge the soft limit that one job asks for by the limits that hold for it. Raises UsageError."""
    if soft_s is None:
        return
    if not soft_s > 0:
        raise UsageError("a soft timeout is a span above zero", hint='Write it as "50s".')
    for name, span_s in (("timeout", timeout_s), ("deadline", deadline_s)):
        if span_s is not None and soft_s >= span_s:
            raise UsageError(
                f"a soft timeout of {format_span(soft_s)} would never be told: "
                f"{name} ends the attempt after {format_span(span_s)}",
                hint=f"Make it shorter than {name}.",
            )


def _check_stoppable(station: Station, queue: str) -> None:
    """Refuse a function with a time limit where nothing could keep it. Raises UsageError."""
    for group in station.plan.groups_serving(queue):
        if group.pool == "threads":
            raise UsageError(
                f'worker group "{group.name}" with pool = "threads" serves the queue "{queue}", and nobody can '
                "stop a thread: it keeps no timeout, soft_timeout or deadline",
                hint="Leave them out, or name a queue that a prefork group serves.",
            )


def scheduled_row(
    station: Station, spec: ScheduleSpec, schedule: int, instant: Moment, *, uid: int
) -> job_rows.NewJob:
    """The row of a job that a schedule makes, with its arguments; ``schedule`` is the schedule's id.

    It expires as counted from its instant. Raises NotFound: no such task; and as `submit` does.
    """
    plan, now = station.plan, station.clock.now()
    task = plan.task(spec.task)
    args, kwargs = plan.arguments_of(spec)
    options = None
    if spec.expires_s is None:
        row = plain_task_row(station, task, args, kwargs, now, uid=uid, schedule=schedule)
        if row is not None:
            return row
    else:
        expires_at = instant + round(spec.expires_s * SECOND)
        options = NewJob(task=spec.task, expires_at=expires_at)
    given = Given.exact(args, kwargs)
    return new_task_row(station, task, given, now, uid=uid, options=options, schedule=schedule)


def behind_earlier(row: job_rows.NewJob, schedule: int) -> job_rows.NewJob:
    """The row in the line of its schedule, until an earlier job is gone; where its task cannot run anyway it
    stays as it is."""
    if row.task is not None and row.line == parked_line(row.task):
        return row
    return row._replace(line=schedule_line(schedule), reason=Reason.EARLIER.value)


def _new_command_row(station: Station, uid: int, job: NewJob, now: Moment) -> job_rows.NewJob:
    assert job.command is not None
    if not job.command or not job.command[0]:
        raise UsageError("the command is empty", hint="jobctl submit -- PROGRAM [ARGUMENT…]")
    if job.args or job.kwargs or job.headers or job.each:
        raise UsageError("a command of its own takes no further arguments")
    if station.uid != 0 and uid != station.uid:
        # It would have to run as somebody that this daemon cannot become.
        raise NotAllowed(
            f"this daemon runs as uid {station.uid} and cannot run a command as uid {uid}",
            hint="Submit as the daemon's user, or define a task.",
        )
    try:
        env, cwd = ENVIRONMENT.read(job.env or {}), FOLDER.read(job.cwd or "/")
    except InvalidValue as error:
        raise UsageError(error.message, hint=error.hint) from None
    if job.umask is not None and not 0 <= job.umask <= 0o777:
        raise UsageError("a umask lies between 0 and 0777")
    _check_soft_timeout(job.soft_timeout_s, job.timeout_s, job.deadline_s)
    # The same limits as for the arguments of a task's command.
    texts(Given.exact([*job.command, *env.values(), cwd]))
    payload = {
        "command": job.command,
        "env": env,
        "cwd": cwd,
        "umask": job.umask if job.umask is not None else 0o022,
    }
    return _row(
        station,
        job,
        now,
        uid=uid,
        kind="command",
        task=None,
        payload=dumps(payload),
        own_line=None,
        gate=None,
        unique_key=None,
        queue=job.queue if job.queue is not None else DEFAULT_QUEUE,
        priority=job.priority or 0,
        expires_s=None,
        deadline_s=job.deadline_s,
        schedule=None,
        unavailable=None,
    )


def _row(
    station: Station,
    job: NewJob,
    now: Moment,
    *,
    uid: int,
    kind: str,
    task: str | None,
    payload: str,
    own_line: str | None,
    gate: str | None,
    unique_key: str | None,
    queue: str,
    priority: int,
    expires_s: float | None,
    deadline_s: float | None,
    schedule: int | None,
    unavailable: str | None,
) -> job_rows.NewJob:
    check_name("queue", queue)
    if not station.plan.groups_serving(queue):
        raise UsageError(
            f'no worker group serves the queue "{queue}"',
            hint="jobctl inspect queues lists the queues that are served.",
        )
    if not 0 <= (job.retries or 0) <= MAX_RETRIES:
        raise UsageError(f"retries lies between 0 and {MAX_RETRIES}")
    if (job.timeout_s or 0) < 0:
        raise UsageError("a timeout cannot be negative")
    if job.stderr is not None:
        _check_stderr(job.stderr, kind)
    names = ("retries", "timeout_s", "soft_timeout_s", "deadline_s", "queue", "stderr")
    overrides = {name: value for name in names if (value := getattr(job, name)) is not None}
    if not -32768 <= priority <= 32767:
        raise UsageError("a priority lies between -32768 and 32767; higher goes first")
    if job.labels is not None:
        if len(job.labels) > MAX_LABELS:
            raise UsageError(f"a job has {MAX_LABELS} labels at most")
        for name, value in job.labels.items():
            _check_label(name)
            _check_label(value)
    eta = job.eta
    if job.delay_s is not None:
        eta = now + int(job.delay_s * SECOND)
    expires_at = job.expires_at
    if expires_at is None and expires_s is not None:
        expires_at = (eta or now) + int(expires_s * SECOND)
    if not all(0 <= moment <= LAST_MOMENT for moment in (eta or 0, expires_at or 0)):
        raise UsageError("a moment lies between 1970 and the year 9999")
    if expires_at is not None and expires_at <= now:
        raise UsageError("the job would expire before it could start")
    deadline_at = deadline_of(deadline_s, now, eta)
    reason: str | None = None
    if job.after or job.after_any:
        line = AFTER_LINE
    elif unavailable is not None and task is not None:
        line, reason = parked_line(task), unavailable
    elif eta is not None and eta > now:
        line, reason = ETA_LINE, Reason.ETA.value
    elif gate is not None:
        # The dispatcher lets it go on from there, in this very transaction if the gate has room.
        line = gate_line(gate)
    else:
        line = ready_line(kind, queue, own_line)
    return job_rows.NewJob(
        id=station.ids.take(),
        kind=kind,
        task=task,
        queue=queue,
        priority=priority,
        line=line,
        payload=payload,
        overrides=dumps(overrides) if overrides else None,
        labels=dumps(job.labels) if job.labels else None,
        uid=uid,
        schedule=schedule,
        submitted_at=now,
        eta=eta,
        expires_at=expires_at,
        reason=reason,
        unique_key=unique_key,
        deadline_at=deadline_at,
    )


def deadline_of(deadline_s: float | None, now: Moment, eta: Moment | None) -> Moment | None:
    """When the last attempt of a job that is submitted now must have ended. Raises UsageError."""
    if deadline_s is None:
        return None
    if not deadline_s > 0:
        raise UsageError("a deadline is a span from now", hint='Write it as "2h".')
    deadline_at = now + int(min(deadline_s * SECOND, LAST_MOMENT - now))
    if eta is not None and eta >= deadline_at:
        raise UsageError(
            "the job's time comes after its deadline: it could never start",
            hint="Make the deadline longer; it counts from the submission.",
        )
    return deadline_at


def _check_stderr(stderr: str, kind: str) -> None:
    if kind != Kind.COMMAND.value:
        raise UsageError(
            "stderr is for commands; what a function prints is kept together",
            hint="Leave it out, or make the task a command.",
        )
    if stderr not in ("merge", "separate"):
        raise UsageError(
            'stderr is "merge" or "separate"', hint='Write "separate" to keep it apart.'
        )


def given_of(job: NewJob) -> Given:
    """The arguments of a job as it says them. Raises UsageError."""
    if job.typed:
        return Given.exact(job.args or (), job.kwargs)
    raw = set(job.raw or ())
    return Given(
        args=tuple(_typed(value) for value in job.args or ()),
        kwargs={
            name: Exact(value) if name in raw else _typed(value)
            for name, value in (job.kwargs or {}).items()
        },
    )


def _typed(value: Any) -> Typed:
    if not isinstance(value, str):
        raise UsageError("an argument that is not typed is a text")
    return Typed(value)


def _payload(station: Station, task: Task, given: Given) -> str:
    """The stored arguments: what the task cannot take is refused here, not when it runs."""
    return _text_of(_call(station, task, given))


def _call(station: Station, task: Task, given: Given) -> Bound | Texts:
    """The arguments as the task takes them. Raises InvalidArguments."""
    if task.kind is Kind.FUNCTION:
        return bind(station.plan.parameters.get(task.name), given)
    found = texts(given)
    if task.command is not None:
        build_argv(task.command, found)
    return found


def _text_of(call: Bound | Texts, **extras: Any) -> str:
    return dumps({"args": list(call.args), "kwargs": dict(call.kwargs), **extras})


def _extras(task: Task, job: NewJob) -> dict[str, Any]:
    """What the payload of a function holds beside its arguments; mostly nothing. Raises UsageError."""
    extras: dict[str, Any] = {}
    if job.headers:
        if task.kind is not Kind.FUNCTION:
            raise UsageError(
                f'task "{task.name}" is a command, and headers are for functions',
                hint="Give it a label, or an argument.",
            )
        extras["headers"] = job.headers
    if job.ignore_result and task.kind is Kind.FUNCTION:
        extras["ignore_result"] = True
    if job.each is not None:
        extras["each"] = job.each
    return extras


def _call_for_each(task: Task, parameters: tuple[Parameter, ...] | None, job: NewJob) -> Bound:
    """The one argument of a job that calls its function for each of its members. Raises UsageError,
    InvalidArguments."""
    if job.each not in ("one", "star"):
        raise UsageError('each is "one" or "star"')
    if task.kind is not Kind.FUNCTION:
        raise UsageError(f'task "{task.name}" is a command, and only functions are called for each')
    members = job.args[0] if job.typed and job.args and len(job.args) == 1 else None
    if not isinstance(members, list) or job.kwargs:
        raise UsageError("a job that calls its function for each has one list as its argument")
    for member in members:
        if job.each == "one":
            bind(parameters, Given.exact((member,), {}))
        elif isinstance(member, list):
            bind(parameters, Given.exact(member, {}))
        else:
            raise InvalidArguments("starmap takes a list of lists of arguments")
    return Bound(args=(members,), kwargs={})


def check_name(what: str, name: str) -> None:
    """Judge the name of something that a submit speaks of. Raises UsageError."""
    try:
        NAME.read(name)
    except InvalidValue as error:
        hint = error.hint or "Letters, digits, _, . and -; at most 200 of them."
        raise UsageError(f"{what}: {error}", hint=hint) from None


def _check_label(text: str) -> None:
    if not 1 <= len(text.encode(errors="surrogatepass")) <= 200 or not text.isprintable():
        raise UsageError("labels and their values have 1 to 200 bytes and no control characters")


def announce(station: Station, row: job_rows.NewJob) -> None:
    """Tell the dispatcher what the new row means for it: hints, true or not."""
    station.dispatcher.note_ready(row.line)
    if row.line == ETA_LINE and row.eta is not None:
        station.dispatcher.note_eta(row.eta)
    if row.expires_at is not None:
        station.dispatcher.note_expiry(row.expires_at)
    if row.deadline_at is not None:
        station.dispatcher.note_deadline(row.deadline_at)
