"""Options of ``@task`` and of a call: Celery's names, turned into the keys of a task.

Where Celery's option means what a key of ours means, its name is a synonym. Where it asks for something
that nothing keeps yet, it is refused with the way out, unless its value asks for nothing (``bind=False``).
An option is never ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias, TypedDict, cast

from jobctl.clock import SECOND, Moment
from jobctl.errors import InvalidArguments, UsageError
from jobctl.raised import name_of
from jobctl.task import Share, Source, Task, make_task
from jobctl.task.keys import ARGS, KWARGS, keys_of, nearest
from jobctl.task.units import InvalidValue, parse_span

if TYPE_CHECKING:
    from jobctl.task.keys import Json

Span: TypeAlias = float | str | timedelta
"""A number of seconds, text such as ``"1h30m"``, or a timedelta."""


class HasId(Protocol):
    """A job: what `FunctionTask.delay` gives."""

    @property
    def id(self) -> int:
        """The job's id."""
        ...


class HasName(Protocol):
    """A task: what `@task` gives."""

    @property
    def name(self) -> str:
        """The task's name."""
        ...


JobRef: TypeAlias = "int | HasId"
"""A job, by its id or by its result."""


class TaskOptions(TypedDict, total=False):
    """What ``@task(…)`` takes. The first block are the keys of a ``[tasks.X]`` table, then Celery's names,
    then what concerns the worker only."""

    name: str | None
    description: str
    queue: str
    priority: int
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    timeout: Span | None
    soft_timeout: Span | None
    retries: int
    retry_delay: Span
    retry_backoff: bool
    retry_backoff_max: Span
    retry_jitter: bool
    autoretry_for: Sequence[type[BaseException] | str]
    dont_autoretry_for: Sequence[type[BaseException] | str]
    on_lost: str
    on_success: str | HasName | Callable[..., object] | None
    on_failure: str | HasName | Callable[..., object] | None
    on_retry: str | HasName | Callable[..., object] | None
    ignore_result: bool
    max_result: int | str
    result_expires: Span
    max_lost: int
    expires: Span | None
    deadline: Span | None
    concurrency: int | None
    concurrency_key: str | None
    concurrency_per_key: int | None
    rate_limit: str | None
    rate_burst: int | None
    max_load: float | None
    min_free_memory: int | str | None
    unique: str | None
    aliases: Sequence[str]
    on_overlap: str
    on_missed: str
    missed_within: Span | None
    missed_limit: int
    every: Span
    cron: str
    at: str
    solar: Mapping[str, Any]
    timezone: str
    dialect: str
    jitter: Span
    start: str
    end: str
    max_runs: int
    enabled: bool

    max_retries: int
    default_retry_delay: Span
    time_limit: Span | None
    soft_time_limit: Span | None
    acks_late: bool
    reject_on_worker_lost: bool | None

    base: type[Any] | None
    throws: Sequence[type[BaseException]] | None
    typing: bool
    before_start: Callable[..., object] | None
    after_return: Callable[..., object] | None


class CallOptions(TypedDict, total=False):
    """What ``apply_async`` and ``send_task`` take beside arguments."""

    task_id: str | None
    countdown: Span | None
    eta: datetime | None
    expires: Span | datetime | None
    queue: str | None
    priority: int | None
    retries: int | None
    timeout: Span | None
    time_limit: Span | None
    soft_timeout: Span | None
    soft_time_limit: Span | None
    deadline: Span | None
    labels: Mapping[str, str] | None
    after: JobRef | Sequence[JobRef] | None
    after_any: JobRef | Sequence[JobRef] | None
    headers: Mapping[str, Any] | None
    ignore_result: bool | None
    link: Any
    link_error: Any


class _Unkept(NamedTuple):
    """An option of Celery that nothing keeps: the values that ask for nothing, and the way out."""

    harmless: tuple[object, ...]
    advice: str


_ONE_FORM: Final = "Values are JSON and stay on this host: there is one form for them."
_NO_BROKER: Final = "There is no broker and no exchange; name a queue."
_NOT_YET: Final = "It is not there yet; remove it."
_UNKEPT_OF_TASK: Final[dict[str, _Unkept]] = {
    "store_errors_even_if_ignored": _Unkept((False, None), "Errors are always kept."),
    "track_started": _Unkept((True, None), "STARTED is always kept."),
    "pydantic": _Unkept((False, None), "Build the model from JSON inside the function."),
    "serializer": _Unkept(("json", None), _ONE_FORM),
    "compression": _Unkept((None,), _ONE_FORM),
    "resultrepr_maxsize": _Unkept((), "Results are shown whole."),
    "retry_kwargs": _Unkept((None,), "Write retries = … and retry_delay = … instead."),
    "retry_for": _Unkept((), "Its name here is autoretry_for."),
    "acks_on_failure_or_timeout": _Unkept((True, None), "Retries say what follows a failure."),
    "send_events": _Unkept((True, None), "Every change is recorded."),
    "trail": _Unkept((True, None), _NOT_YET),
    "exchange": _Unkept((None,), _NO_BROKER),
    "routing_key": _Unkept((None,), _NO_BROKER),
}
_UNKEPT_OF_CALL: Final[dict[str, _Unkept]] = {
    "shadow": _Unkept((None,), "Labels are text by name: labels = {…}."),
    "retry": _Unkept((True, None), "A submit is always repeated until patience is over: see configure."),
    "retry_policy": _Unkept((None,), "How long a submit is repeated: configure(patience_s=…)."),
    "add_to_parent": _Unkept((True, None), _NOT_YET),
    **{
        name: _UNKEPT_OF_TASK[name]
        for name in ("serializer", "compression", "exchange", "routing_key")
    },
    **{
        name: _Unkept((None,), "There is no broker: say configure(socket=…) once.")
        for name in ("connection", "producer", "publisher", "reply_to")
    },
}  # fmt: skip

_NOT_FOR_FUNCTIONS: Final = ("command", "shell", "function")
_WHEN: Final = (
    *("every", "cron", "at", "solar", "timezone", "dialect", "jitter"),
    *("start", "end", "max_runs", "enabled"),
)
_OF_TASK: Final = tuple(
    name
    for name, bound in keys_of(Task).items()
    if not bound.key.commands_only and name not in _NOT_FOR_FUNCTIONS
)
_CELERYS: Final = (
    "max_retries",
    "default_retry_delay",
    "time_limit",
    "soft_time_limit",
    "acks_late",
    "reject_on_worker_lost",
)
EVENTS: Final = ("on_success", "on_failure", "on_retry")
_OF_CALL: Final = tuple(CallOptions.__annotations__)


def read_task_options(
    name: str, function: str, given: Mapping[str, Any], source: Source
) -> dict[str, Json]:
    """Give the options of ``@task`` as keys of a ``[tasks.X]`` table, checked as that table would be.

    Raises:
        UsageError: an option that is unknown, not kept, or cannot be read; all of them are named.
    """
    about = f'task "{name}" ({source})'
    known = (*_OF_TASK, *_WHEN, *_CELERYS)
    wanted = _refuse_unkept(about, given, _UNKEPT_OF_TASK, known)
    keys = _of_celery(about, wanted)
    written: dict[str, Any] = {key: _plain(value) for key, value in keys.items()}
    try:
        if any(key in written for key in _WHEN):
            from jobctl.plan.tables import read_task_table

            read_task_table(name, {**written, "function": function}, source=source)
        else:
            make_task(name, {**written, "function": function}, source=source)
        return KWARGS.read(written)  # type: ignore[no-any-return]
    except InvalidValue as invalid:
        raise _faulty(about, invalid) from None


def _of_celery(about: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Celery's names as ours. Where its default differs from ours and an option implies it, so does this."""
    keys = {key: value for key, value in given.items() if key not in _CELERYS and value is not None}
    for theirs, ours in (
        ("max_retries", "retries"),
        ("time_limit", "timeout"),
        ("soft_time_limit", "soft_timeout"),
    ):
        if given.get(theirs) is not None:
            _say_once(about, keys, ours, theirs)
            keys[ours] = given[theirs]
    if "max_retries" in given and given["max_retries"] is None:
        raise UsageError(
            f"{about}: retries without an end are not kept", hint="Write retries = 1000000."
        )
    backoff = keys.get("retry_backoff")
    if backoff is not None and not isinstance(backoff, bool):
        # Celery's number is the first wait, that of the file a factor: neither is guessed at.
        raise UsageError(
            f"{about}: retry_backoff is True or False here",
            hint=f"For Celery's retry_backoff={backoff!r} write retry_delay={backoff!r}, retry_backoff=True.",
        )
    if given.get("default_retry_delay") is not None:
        _say_once(about, keys, "retry_delay", "default_retry_delay")
        if keys.get("retry_backoff"):
            raise UsageError(
                f"{about}: Celery does not use default_retry_delay together with retry_backoff",
                hint="Write retry_delay for the first wait.",
            )
        # Celery's wait is always the same.
        keys.update(retry_delay=given["default_retry_delay"], retry_backoff=False)
        keys.setdefault("retry_jitter", False)
    _name_classes(about, keys)
    for event in EVENTS:
        if event in keys:
            keys[event] = _name_of_task(about, event, keys[event])
    _take_acks(about, keys, given)
    return keys


def _name_of_task(about: str, event: str, given: object) -> str:
    name = given if isinstance(given, str) else getattr(given, "name", None)
    if not isinstance(name, str):
        raise UsageError(
            f"{about}: {event} is a task or the name of one, or a function",
            hint="A task's job follows this one; a function is called in the worker.",
        )
    return name


def _name_classes(about: str, keys: dict[str, Any]) -> None:
    for option in ("autoretry_for", "dont_autoretry_for"):
        listed = keys.pop(option, None)
        if not listed:
            continue
        if not isinstance(listed, (tuple, list)):
            raise UsageError(
                f"{about}: {option} is a list of exceptions", hint=f"{option}=(ConnectionError,)"
            )
        keys[option] = [
            name_of(kind) if isinstance(kind, type) else kind
            for kind in cast("Sequence[object]", listed)
        ]
    if "autoretry_for" in keys:
        # What Celery does when it is told no more than this.
        keys.setdefault("retries", 3)
        if not keys.get("retry_backoff") and "retry_delay" not in keys:
            keys.update(retry_delay=180, retry_backoff=False)
            keys.setdefault("retry_jitter", False)


def _take_acks(about: str, keys: dict[str, Any], given: Mapping[str, Any]) -> None:
    late, on_lost = given.get("acks_late"), given.get("reject_on_worker_lost")
    if late is None and on_lost is None:
        return
    if "on_lost" in keys:
        raise UsageError(
            f"{about}: on_lost says it already", hint="Remove acks_late and reject_on_worker_lost."
        )
    # Celery: what is acknowledged early is never given out again, whatever the other option says.
    keys["on_lost"] = "retry" if late and on_lost is not False else "fail"


def _say_once(about: str, keys: Mapping[str, Any], ours: str, theirs: str) -> None:
    if ours in keys:
        raise UsageError(f"{about}: {ours} and {theirs} are one option", hint="Keep one of them.")


def _refuse_unkept(
    about: str, given: Mapping[str, Any], unkept: Mapping[str, _Unkept], known: Sequence[str]
) -> dict[str, Any]:
    """Give the options that are ours. Raises UsageError with everything that is not."""
    faults: list[tuple[str, str]] = []
    for name, value in given.items():
        if name in known:
            continue
        if name in unkept:
            # Compared by hand: an option may hold any object, also one that compares oddly.
            harmless = unkept[name].harmless
            if not any(
                value is plain or (type(value) is type(plain) and value == plain)
                for plain in harmless
            ):
                faults.append((f"the option {name} is not kept", unkept[name].advice))
            continue
        near = nearest(name, known)
        meant = f"Did you mean {near}?" if near else f"Options: {', '.join(known)}."
        faults.append((f"there is no option {name}", meant))
    if faults:
        raise UsageError(
            f"{about}: {'; '.join(message for message, _ in faults)}",
            hint=" ".join(dict.fromkeys(hint for _, hint in faults)),
        )
    return {name: value for name, value in given.items() if name in known}


def _faulty(about: str, invalid: InvalidValue) -> UsageError:
    told = [
        f"{'.'.join(str(step) for step in fault.path)}: {fault.message}"
        if fault.path
        else fault.message
        for fault in invalid.faults
    ]
    hints = dict.fromkeys(fault.hint for fault in invalid.faults if fault.hint)
    return UsageError(f"{about}: {'; '.join(told)}", hint=" ".join(hints))


def _plain(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


# One call.


def make_job(
    task: str, args: object, kwargs: object, options: Mapping[str, Any], *, now: Moment
) -> dict[str, Any]:
    """Give a job as the fields of `jobctl.protocol.requests.NewJob`, without a key unless one was given.

    Raises:
        InvalidArguments: an argument that is no JSON value. UsageError: an option that cannot be kept.
    """
    about = f'task "{task}"'
    wanted = _refuse_unkept(about, options, _UNKEPT_OF_CALL, _OF_CALL)
    job: dict[str, Any] = {"task": task, "typed": True}
    if args:
        job["args"] = list(_read_arguments(about, "argument", ARGS.read, args))
    if kwargs:
        job["kwargs"] = _read_arguments(about, "argument", KWARGS.read, kwargs)
    for name, value in wanted.items():
        if value is not None:
            _OPTION[name](about, job, value, now)
    if "eta" in job and "delay_s" in job:
        raise UsageError(f"{about}: eta and countdown are both given", hint="Keep one of them.")
    return job


def _read_arguments(about: str, what: str, read: Any, given: object) -> Any:
    try:
        return read(given)
    except InvalidValue as invalid:
        fault = invalid.faults[0]
        if not fault.path:
            raise InvalidArguments(f"{about}: {fault.message}", hint=fault.hint) from None
        first, *rest = fault.path
        place = f"{what} {first + 1 if isinstance(first, int) else first}"
        inside = "".join(f"[{step!r}]" for step in rest)
        raise InvalidArguments(
            f"{about}: {place}{inside}: {fault.message}", hint=fault.hint
        ) from None


def _read_option(about: str, name: str, value: object) -> Any:
    """A value for a key of a task, as that key reads it."""
    try:
        return keys_of(Task)[name].key.mark.read(_plain(value))
    except InvalidValue as invalid:
        raise _faulty(f"{about}: {name}", invalid) from None


def _span_s(about: str, name: str, value: object) -> float:
    try:
        return parse_span(_plain(value))
    except InvalidValue as invalid:
        raise _faulty(f"{about}: {name}", invalid) from None


def _moment(about: str, name: str, value: datetime) -> Moment:
    if value.tzinfo is None:
        raise UsageError(
            f"{about}: {name} has no time zone",
            hint="Write datetime.now(UTC) + timedelta(…), or give it a zone with replace(tzinfo=…).",
        )
    return (value - _EPOCH) // timedelta(microseconds=1)


def _take_task_id(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
    if not isinstance(value, str):
        raise UsageError(f"{about}: task_id is text", hint="The same one gives the same job again.")
    job["key"] = value


def _take_countdown(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
    job["delay_s"] = _span_s(about, "countdown", value)


def _take_eta(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
    if not isinstance(value, datetime):
        raise UsageError(f"{about}: eta is a datetime", hint="For seconds from now use countdown.")
    job["eta"] = _moment(about, "eta", value)


def _take_expires(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
    if isinstance(value, datetime):
        job["expires_at"] = _moment(about, "expires", value)
    else:
        job["expires_at"] = now + int(_span_s(about, "expires", value) * SECOND)


def _take_timeout(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
    if "timeout_s" in job:
        raise UsageError(
            f"{about}: timeout and time_limit are one option", hint="Keep one of them."
        )
    limit = _read_option(about, "timeout", value)
    if isinstance(limit, Share):
        raise UsageError(
            f"{about}: a timeout of {limit} is the task's", hint="Write a span for one job."
        )
    job["timeout_s"] = limit


def _take_soft_timeout(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
    if "soft_timeout_s" in job:
        raise UsageError(
            f"{about}: soft_timeout and soft_time_limit are one option", hint="Keep one of them."
        )
    job["soft_timeout_s"] = _read_option(about, "soft_timeout", value)


def _take_deadline(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
    job["deadline_s"] = _read_option(about, "deadline", value)


def _take_labels(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
    labels = dict(cast("Mapping[object, object]", value)) if isinstance(value, Mapping) else None
    if labels is None or not all(
        isinstance(name, str) and isinstance(text, str) for name, text in labels.items()
    ):
        raise UsageError(f"{about}: labels are text by name", hint='labels={"order": "17"}')
    job["labels"] = labels


def _take_headers(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
    if not isinstance(value, Mapping):
        raise UsageError(f"{about}: headers are values by name", hint='headers={"tenant": "acme"}')
    job["headers"] = _read_arguments(about, "header", KWARGS.read, value)


def _take_ignore_result(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
    if value:
        job["ignore_result"] = True


def _take_link(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
    if value:
        raise UsageError(
            f"{about}: link and link_error make a workflow of a job",
            hint="Submit it by itself, with apply_async.",
        )


def _take_after(name: str) -> Any:
    def take(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
        listed = value if isinstance(value, (list, tuple)) else [value]
        ids = [getattr(one, "id", one) for one in cast("Sequence[Any]", listed)]
        if not all(type(one) is int and 0 < one < 2**63 for one in ids):
            raise UsageError(
                f"{about}: {name} is a job or a list of jobs", hint=f"{name}=[first, second]"
            )
        job[name] = ids

    return take


def _take_key(name: str) -> Any:
    def take(about: str, job: dict[str, Any], value: Any, now: Moment) -> None:
        job[name] = _read_option(about, name, value)

    return take


_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_OPTION: Final[dict[str, Any]] = {
    "task_id": _take_task_id,
    "countdown": _take_countdown,
    "eta": _take_eta,
    "expires": _take_expires,
    "queue": _take_key("queue"),
    "priority": _take_key("priority"),
    "retries": _take_key("retries"),
    "timeout": _take_timeout,
    "time_limit": _take_timeout,
    "soft_timeout": _take_soft_timeout,
    "soft_time_limit": _take_soft_timeout,
    "deadline": _take_deadline,
    "labels": _take_labels,
    "after": _take_after("after"),
    "after_any": _take_after("after_any"),
    "headers": _take_headers,
    "ignore_result": _take_ignore_result,
    "link": _take_link,
    "link_error": _take_link,
}
