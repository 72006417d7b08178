"""``submit``: one job, a task's or an ad-hoc command's; with its key it is submitted once (P8)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from jobctl.cli import complete, numbers, options
from jobctl.cli.pairs import read_pairs
from jobctl.cli.session import Session, session_of

if TYPE_CHECKING:
    from jobctl.clock import Moment

_AFTER_DASHES = "jobctl.cli.submit.after_dashes"


class Stderr(StrEnum):
    """Where a command's standard error is kept."""

    MERGE = "merge"
    """Together with its output, in the order of writing."""
    SEPARATE = "separate"
    """Apart from it."""


class SubmitCommand(TyperCommand):
    """Keeps what stands behind ``--`` apart: without a task before it, that is a command.

    Click drops the two dashes, and then ``submit -- ls`` and ``submit ls`` would be the same.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before ``--``; the words behind it, or None, go into ``ctx.meta``."""
        with_value = {
            name
            for option in self.params
            if option.param_type_name == "option" and not getattr(option, "is_flag", False)
            for name in option.opts
        }
        before, after = split_at_dashes(args, with_value)
        ctx.meta[_AFTER_DASHES] = after
        return super().parse_args(ctx, before)


def split_at_dashes(words: list[str], with_value: set[str]) -> tuple[list[str], list[str] | None]:
    """The words before and behind the ``--`` that ends the options; None behind if there is none.

    ``with_value`` are the options that take the next word, whatever it is: in ``--key -- x`` the dashes
    are a key.
    """
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return words[:at], words[at + 1 :]
        if word.startswith("--"):
            takes_next = word in with_value
        else:
            takes_next = _cluster_takes_next(word, with_value)
        at += 2 if takes_next else 1
    return words, None


def _cluster_takes_next(word: str, with_value: set[str]) -> bool:
    """Of short options written together the first with a value takes the rest, or the next word."""
    if not word.startswith("-"):
        return False
    for place, letter in enumerate(word[1:], start=1):
        if f"-{letter}" in with_value:
            return place == len(word) - 1
    return False


def submit(
    ctx: typer.Context,
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="TASK", help="The name of a task.", autocompletion=complete.task_names
        ),
    ] = None,
    args: Annotated[
        list[str] | None, typer.Argument(metavar="[ARG...]", help="Its arguments, by position.")
    ] = None,
    named: Annotated[
        list[str] | None,
        typer.Option(
            "-k", metavar="NAME=VALUE", help="A named argument; NAME:=JSON for an exact value."
        ),
    ] = None,
    args_json: Annotated[
        str | None,
        typer.Option(
            "--args-json", metavar="JSON", help="All positional arguments as a JSON list."
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env", metavar="NAME[=VALUE]", help="A variable for an ad-hoc command; alone: yours."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="WHEN", help='Not before: "2026-11-21 02:30", "02:30".'),
    ] = None,
    delay: Annotated[
        str | None, typer.Option("--in", metavar="SPAN", help='Not before so long from now: "10m".')
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="WHEN|SPAN", help="Revoked if it has not begun by then."),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(
            "--queue",
            metavar="NAME",
            help="Instead of its own.",
            autocompletion=complete.queue_names,
        ),
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(
            "--priority",
            metavar="N",
            parser=numbers.parser(-32768, 32767),
            help="Higher goes first; -32768 to 32767.",
        ),
    ] = None,
    retries: Annotated[
        int | None,
        typer.Option(
            "--retries",
            metavar="N",
            parser=numbers.parser(0, 1_000_000),
            help="Tries after the first.",
        ),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="SPAN", help="For each attempt.")
    ] = None,
    soft_timeout: Annotated[
        str | None,
        typer.Option(
            "--soft-timeout",
            metavar="SPAN",
            help="When each attempt is told to come to an end, before --timeout.",
        ),
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(
            "--deadline",
            metavar="SPAN",
            help="For all attempts together: so long from now the last one is stopped.",
        ),
    ] = None,
    stderr: Annotated[
        Stderr | None,
        typer.Option(
            "--stderr",
            metavar="HOW",
            help="separate: keep a command's standard error apart; or merge.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="The same key gives the same job again."),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME=VALUE", help="Shown, and filtered by."),
    ] = None,
    after: Annotated[
        list[str] | None,
        typer.Option(
            "--after",
            metavar="ID[,ID...]",
            help="Not before these jobs have succeeded; revoked when one of them cannot.",
        ),
    ] = None,
    after_any: Annotated[
        list[str] | None,
        typer.Option(
            "--after-any", metavar="ID[,ID...]", help="Not before these jobs have ended in any way."
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for its end; exit with its code.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show its output until it ends; exit with its code.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FILE|-", help="Submit the jobs of a file: JSON, one object a line."
        ),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Submit a job and print its id.

    Once the id is printed, the job survives power loss.

    With a task: "jobctl submit add 2 3 -k scale=10". Arguments that begin with a dash go behind "--".

    Without a task, what stands behind "--" is a command: "jobctl submit -- tar -czf /tmp/home.tar.gz .".
    It runs as you, in this folder and with this umask, with a clean environment and what --env names.

    With --from, each line of the file is a job: {"task": "add", "args": [2, 3], "queue": "q"}. Keys are
    task, command, args, kwargs, key, queue, priority, retries, timeout, soft_timeout, deadline, in, at,
    expires, labels, after, after_any, env, cwd and stderr; a task and options on the line are for all that
    do not say otherwise.
    Repeated with the key that it names when it is interrupted, it goes on where it was.

    With --wait or --follow the exit code is the command's own, 128 + signal, 1 for a function that
    failed, 125 when jobctl could not tell.
    """
    from jobctl.cli import shapes
    from jobctl.cli.repeat import Repeater
    from jobctl.errors import ProtocolError, Unreachable, UsageError, VersionMismatch
    from jobctl.protocol import requests
    from jobctl.protocol.key import make_key

    session = session_of(ctx, as_json=as_json)
    if follow and session.as_json:
        raise UsageError("--follow and --json exclude each other", hint="Use --wait --json.")
    if source is not None:
        of_one_job = {
            "arguments": args or named or args_json or ctx.meta.get(_AFTER_DASHES),
            "--env": env,
            "--at": at,
            "--in": delay,
            "--expires": expires,
            "--after": after,
            "--after-any": after_any,
            "--wait": wait,
            "--follow": follow,
        }
        _refuse_beside_from(of_one_job)
        from jobctl.cli.bulk import submit_file

        shared = _shared(
            task, queue, priority, retries, timeout, soft_timeout, deadline, stderr, labels
        )
        submit_file(session, source, shared=shared, key=key if key is not None else make_key())
        return 0
    fields = _fields(
        session.clock.now(),
        session=session,
        after_dashes=ctx.meta.get(_AFTER_DASHES),
        task=task,
        args=args,
        named=named,
        args_json=args_json,
        env=env,
        at=at,
        delay=delay,
        expires=expires,
        queue=queue,
        priority=priority,
        retries=retries,
        timeout=timeout,
        soft_timeout=soft_timeout,
        deadline=deadline,
        stderr=None if stderr is None else stderr.value,
        after=after,
        after_any=after_any,
        key=key if key is not None else make_key(),
        labels=labels,
    )
    requests.read(requests.NewJob, fields)  # what is wrong with it is told without a daemon
    request = requests.Submit(jobs=[fields])
    try:
        answer = Repeater(session.client).run(lambda client: client.call(request))
    except (ProtocolError, VersionMismatch):
        raise
    except Unreachable as error:
        raise Unreachable(
            f"{error.message}; it is not known whether the job was submitted",
            hint=f"Repeat the line with --key {fields['key']}: it is not submitted twice.",
        ) from error
    job = answer["jobs"][0]
    if session.as_json:
        session.screen.json(shapes.submitted(job))
    elif follow:
        # The output of the job has standard output for itself.
        session.screen.note(f"job {job['id']}")
    else:
        session.screen.line(str(job["id"]))
    if job.get("reason") and not session.as_json:
        session.screen.note(f"jobctl: {job['reason']}; no other one was made")
    if not (wait or follow):
        return 0
    from jobctl.cli.waiting import follow_output, wait_for

    session.screen.out.flush()
    try:
        if follow:
            follow_output(session, job["id"])
        return wait_for(session, [job["id"]])[1]
    except KeyboardInterrupt:
        session.screen.note(f"jobctl: job {job['id']} goes on; jobctl cancel {job['id']} ends it")
        raise


def _refuse_beside_from(of_one_job: dict[str, Any]) -> None:
    from jobctl.errors import UsageError

    for name, value in of_one_job.items():
        if value:
            raise UsageError(
                f"--from and {name} exclude each other",
                hint="What belongs to one job stands in its line of the file.",
            )


def _shared(
    task: str | None,
    queue: str | None,
    priority: int | None,
    retries: int | None,
    timeout: str | None,
    soft_timeout: str | None,
    deadline: str | None,
    stderr: Stderr | None,
    labels: list[str] | None,
) -> dict[str, Any]:
    """What the line says of all jobs of a file."""
    from jobctl.cli.submission import job_fields

    fields = job_fields(
        key="",
        task=task,
        queue=queue,
        priority=priority,
        retries=retries,
        timeout_s=_span_s(timeout, option="--timeout"),
        soft_timeout_s=_span_s(soft_timeout, option="--soft-timeout"),
        deadline_s=_span_s(deadline, option="--deadline"),
        labels=read_pairs(labels, option="--label"),
        stderr=None if stderr is None else stderr.value,
    )
    del fields["key"]
    return fields


def _fields(
    now_us: Moment,
    *,
    session: Session,
    after_dashes: list[str] | None,
    task: str | None,
    args: list[str] | None,
    named: list[str] | None,
    args_json: str | None,
    env: list[str] | None,
    at: str | None,
    delay: str | None,
    expires: str | None,
    queue: str | None,
    priority: int | None,
    retries: int | None,
    timeout: str | None,
    soft_timeout: str | None,
    deadline: str | None,
    stderr: str | None,
    after: list[str] | None,
    after_any: list[str] | None,
    key: str,
    labels: list[str] | None,
) -> dict[str, Any]:
    from jobctl.cli import times
    from jobctl.cli.arguments import read_arguments
    from jobctl.cli.submission import job_fields
    from jobctl.errors import UsageError

    command = after_dashes if task is None else None
    if task is None and not command:
        raise UsageError(
            "nothing to submit",
            hint='Name a task, "jobctl submit TASK", or a command, "jobctl submit -- CMD".',
        )
    if command is not None and (named or args_json):
        raise UsageError(
            "-k and --args-json are for tasks, not for commands",
            hint="Write the arguments behind the command.",
        )
    if command is None and env:
        raise UsageError(
            "--env is for ad-hoc commands", hint="A task's environment stands in its table."
        )
    if command is not None and not command[0]:
        raise UsageError("the command has an empty name", hint="jobctl submit -- CMD…")
    if at is not None and delay is not None:
        raise UsageError("--at and --in exclude each other", hint="Use one of them.")
    by_position = None if command is not None else [*(args or []), *(after_dashes or [])]
    arguments = read_arguments(by_position, named, args_json)
    eta = times.parse_moment(at, option="--at", now_us=now_us) if at is not None else None
    expires_at: Moment | None = None
    if expires is not None:
        expires_at = times.parse_moment_or_span(expires, option="--expires", now_us=now_us)
        if expires_at <= now_us:
            raise UsageError(f'--expires: "{expires}" has passed', hint="Name a later moment.")
    return job_fields(
        key=key,
        task=task,
        command=command,
        args=arguments.args,
        kwargs=arguments.kwargs,
        typed=arguments.typed,
        raw=arguments.raw,
        eta=eta,
        delay_s=_span_s(delay, option="--in"),
        expires_at=expires_at,
        queue=queue,
        priority=priority,
        retries=retries,
        timeout_s=_span_s(timeout, option="--timeout"),
        soft_timeout_s=_span_s(soft_timeout, option="--soft-timeout"),
        deadline_s=_span_s(deadline, option="--deadline"),
        labels=read_pairs(labels, option="--label"),
        env=_environment(env, session),
        stderr=stderr,
        after=_ids(after, option="--after"),
        after_any=_ids(after_any, option="--after-any"),
    )


def _span_s(text: str | None, *, option: str) -> float | None:
    from jobctl.cli import times

    return None if text is None else times.parse_span(text, option=option)


def _ids(texts: list[str] | None, *, option: str) -> list[int]:
    """The ids that an option names: several with commas between them, or the option several times."""
    from jobctl.errors import UsageError
    from jobctl.task.units import shown

    found = []
    for text in (word for listed in texts or () for word in listed.split(",")):
        number = numbers.read_id(text)
        if number is None:
            raise UsageError(
                f"{option}: {shown(text)} is not the id of a job", hint=f"Write {option} 12,13."
            )
        found.append(number)
    return found


def _environment(texts: list[str] | None, session: Session) -> dict[str, str]:
    from jobctl.errors import UsageError
    from jobctl.task.units import shown

    whole = []
    for text in texts or ():
        if "=" in text:
            whole.append(text)
        elif text in session.environ:
            whole.append(f"{text}={session.environ[text]}")
        else:
            raise UsageError(
                f"--env: {shown(text)} is not set here", hint=f"Write --env {text}=VALUE."
            )
    return read_pairs(whole, option="--env")
