"""The ``[notify.X]`` tables: who is told what, of which tasks, and how.

`jobctl.plan.senders` says what the plan has for them, `jobctl.notify` what is told and how it is sent.
"""

from __future__ import annotations

import fnmatch
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from jobctl.task import UNKNOWN_SOURCE, Source
from jobctl.task.keys import (
    FLAG,
    FOLDER,
    NAME,
    POSITIVE_SPAN,
    SIZE,
    TEXT,
    USER,
    Mark,
    choice,
    key,
    keys_of,
    list_of,
    nearest,
    whole,
)
from jobctl.task.units import Fault, InvalidValue, shown
from jobctl.task.world import PATH
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jobctl.task import Task

KINDS: Final = ("mail", "webhook", "ping", "command")
EVENTS: Final[Mapping[str, str]] = {
    "start": "an attempt begins",
    "success": "a job has succeeded",
    "failure": "a job has failed for good",
    "retry": "an attempt has failed, and another one follows",
    "recovery": "a job has succeeded, and the last thing told of its task was a failure",
    "cancelled": "a running job was cancelled, or ended at its deadline",
    "output": "an attempt has ended and has printed something, whatever became of it",
    "missed": "instants of a schedule have passed unserved",
    "late": "the job of an instant has not succeeded within `late_after`",
}
"""What can be told, by the words of ``on``."""
_ON: Final[Mapping[str, tuple[str, ...]]] = {
    "mail": ("failure", "recovery", "missed"),
    "webhook": ("failure", "recovery", "missed"),
    "ping": ("start", "success", "failure"),
    "command": ("failure", "recovery", "missed"),
}
_PINGED: Final = frozenset({"start", "success", "failure", "retry", "output"})
_OUTPUT_BYTES: Final = {"mail": 16 << 10, "webhook": 2 << 10, "ping": 10_000, "command": 16 << 10}
MOST_OUTPUT_BYTES: Final = 16 << 10
"""More travels in no message: it is an argument of a job, and stays below what one may have."""


def _read_address(value: object) -> str:
    text: str = TEXT.read(value)
    if not text or len(text) > 320 or any(not 32 < ord(c) < 127 for c in text):
        raise InvalidValue(
            f"{shown(text)} is no mail address", hint='Write "ops@example.org" or "root".'
        )
    if any(c in text for c in ',;:<>()[]"\\') or text.count("@") > 1:
        raise InvalidValue(f"{shown(text)} is no single mail address", hint="Write a list of them.")
    return text


def _read_url(value: object) -> str:
    text: str = TEXT.read(value)
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or any(not 32 < ord(c) < 127 for c in text):
        # Not shown: its path may be a secret.
        raise InvalidValue("it is no URL", hint='Write "https://host/path".')
    return text


def _read_pattern(value: object) -> str:
    text: str = TEXT.read(value)
    plain = text.replace("*", "x").replace("?", "x")
    NAME.read(plain)
    return text


def _read_smtp(value: object) -> str:
    text: str = TEXT.read(value)
    try:
        parts = urlsplit(f"//{text}")
        is_server = bool(parts.hostname) and parts.port != 0 and not (parts.username or parts.path)
    except ValueError:
        is_server = False
    if not is_server or any(c.isspace() for c in text):
        raise InvalidValue(f"{shown(text)} is no mail server", hint='Write "mail.example.org:587".')
    return text


_ADDRESS: Final = Mark(
    word="mail address", read=_read_address, write=TEXT.write, schema={"type": "string"}
)
_URL: Final = Mark(word="URL", read=_read_url, write=TEXT.write, schema={"type": "string"})
_PATTERN: Final = Mark(
    word="name, may hold `*` and `?`",
    read=_read_pattern,
    write=TEXT.write,
    schema={"type": "string"},
)
_SMTP: Final = Mark(word="host:port", read=_read_smtp, write=TEXT.write, schema={"type": "string"})


@dataclass(frozen=True, kw_only=True)
class Route:
    """A ``[notify.X]`` table."""

    name: str
    kind: str = field(metadata=key("kind", choice(*KINDS), "How the route tells."))
    enabled: bool = field(
        default=True, metadata=key("enabled", FLAG, "`false` switches the route off.")
    )
    on: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "on",
            list_of(choice(*EVENTS), at_least=1, distinct=True, hint='Write ["failure"].'),
            "What it tells.",
            default_text='`["start", "success", "failure"]` for a ping, '
            'else `["failure", "recovery", "missed"]`',
        ),
    )
    tasks: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "tasks",
            list_of(_PATTERN, at_least=1, distinct=True),
            "The tasks of which it tells.",
            default_text="all, and commands without a task",
        ),
    )
    queues: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "queues",
            list_of(_PATTERN, at_least=1, distinct=True),
            "The queues of whose jobs it tells.",
            default_text="all",
        ),
    )
    after: int = field(
        default=1,
        metadata=key(
            "after", whole(1, 1_000_000), "The failure in a row of a task that is the first told."
        ),
    )
    repeat_after_s: float | None = field(
        default=None,
        metadata=key(
            "repeat_after",
            POSITIVE_SPAN,
            "How long nothing more is told of a task that goes on failing.",
            default_text="every failure is told",
        ),
    )
    late_after_s: float | None = field(
        default=None,
        metadata=key(
            "late_after",
            POSITIVE_SPAN,
            "How long after its instant a scheduled job may take to succeed; past it, it is late. It goes with "
            '`"late"` in `on`.',
            default_text="nothing is late",
        ),
    )
    digest_s: float | None = field(
        default=None,
        metadata=key(
            "digest",
            POSITIVE_SPAN,
            "Gather what is to be told for so long, and tell it in one message.",
            default_text="each at once",
        ),
    )
    output_bytes: int | None = field(
        default=None,
        metadata=key(
            "output",
            SIZE,
            "How much of a job's output is told, beginning and end; at most 16 KiB, `0` is none.",
            default_text="`16KiB`; of a webhook `2KiB`, of a ping `10kB`",
        ),
    )
    timeout_s: float = field(
        default=30.0,
        metadata=key("timeout", POSITIVE_SPAN, "How long sending one message may take."),
    )
    retry_delay_s: float = field(
        default=30.0,
        metadata=key(
            "retry_delay",
            POSITIVE_SPAN,
            "The wait before a message that could not be sent is tried again; it doubles each time.",
        ),
    )
    retry_delay_max_s: float = field(
        default=3600.0,
        metadata=key("retry_delay_max", POSITIVE_SPAN, "The longest wait that it grows to."),
    )
    give_up_after_s: float = field(
        default=3 * 86400.0,
        metadata=key(
            "give_up_after", POSITIVE_SPAN, "When a message that cannot be sent is given up."
        ),
    )
    to: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "to", list_of(_ADDRESS, at_least=1, distinct=True), "Mail: who gets it. Required there."
        ),
    )
    sender: str | None = field(
        default=None,
        metadata=key(
            "from",
            _ADDRESS,
            "Mail: who it is from.",
            default_text="the daemon's user, and the name of the host",
        ),
    )
    form: str = field(
        default="jobctl",
        metadata=key(
            "form",
            choice("jobctl", "cron"),
            'Mail: `"cron"` gives the subject and body that cron would have sent.',
        ),
    )
    sendmail: str = field(
        default="/usr/sbin/sendmail",
        metadata=key("sendmail", FOLDER, "Mail: the program that takes it, as `sendmail -oi -t`."),
    )
    smtp: str | None = field(
        default=None,
        metadata=key(
            "smtp",
            _SMTP,
            "Mail: the server that takes it.",
            default_text="none: `sendmail` takes it",
        ),
    )
    tls: str = field(
        default="starttls",
        metadata=key(
            "tls",
            choice("starttls", "tls", "none"),
            'Mail by SMTP: `"tls"` from the first byte (port 465), or none at all; the certificate is '
            "checked.",
        ),
    )
    ca_file: str | None = field(
        default=None,
        metadata=key(
            "ca_file",
            FOLDER,
            "SMTP, webhook, ping: the certificates that are trusted.",
            default_text="those of the host",
        ),
    )
    username: str | None = field(
        default=None,
        metadata=key("username", TEXT, "Mail by SMTP: the login.", default_text="none"),
    )
    password_file: str | None = field(
        default=None,
        metadata=key(
            "password_file",
            PATH,
            "Mail by SMTP: the file with the password of the login, or `credential:NAME`.",
            default_text="none",
        ),
    )
    url: str | None = field(
        default=None,
        metadata=key(
            "url",
            _URL,
            "Webhook, ping: where it goes. Never shown. A ping may hold `{task}`.",
            default_text="none",
        ),
    )
    url_file: str | None = field(
        default=None,
        metadata=key(
            "url_file",
            PATH,
            "Webhook, ping: the file with the URL, or `credential:NAME`, in place of `url`.",
            default_text="none",
        ),
    )
    secret_file: str | None = field(
        default=None,
        metadata=key(
            "secret_file",
            PATH,
            "Webhook: the file with the key that signs it, or `credential:NAME`.",
            default_text="it is not signed",
        ),
    )
    command: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "command",
            list_of(TEXT, at_least=1, hint='Write ["program", "argument"].'),
            "Command: the program and its arguments, which get the message as JSON on standard input and "
            "as variables. Required there.",
        ),
    )
    user: str | None = field(
        default=None,
        metadata=key(
            "user", USER, "Command: the user as whom it runs.", default_text="the daemon's"
        ),
    )
    source: Source = field(default=UNKNOWN_SOURCE, compare=False)

    @property
    def events(self) -> tuple[str, ...]:
        """What it tells."""
        return self.on or _ON[self.kind]

    @property
    def most_output_bytes(self) -> int:
        """How much of an output is told."""
        return _OUTPUT_BYTES[self.kind] if self.output_bytes is None else self.output_bytes

    def chooses(self, task: str | None, queue: str) -> bool:
        """Whether it tells of such a job, if the task does not name its routes itself."""
        if self.tasks and (task is None or not _fits(task, self.tasks)):
            return False
        return not self.queues or _fits(queue, self.queues)


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


ROUTE_KEYS: Final = keys_of(Route)


_FOR: Final[Mapping[str, tuple[str, ...]]] = {
    "to": ("mail",),
    "from": ("mail",),
    "form": ("mail",),
    "sendmail": ("mail",),
    "smtp": ("mail",),
    "tls": ("mail",),
    "username": ("mail",),
    "password_file": ("mail",),
    "ca_file": ("mail", "webhook", "ping"),
    "url": ("webhook", "ping"),
    "url_file": ("webhook", "ping"),
    "secret_file": ("webhook",),
    "command": ("command",),
    "user": ("command",),
}


def build_route(name: str, values: Mapping[str, Any], *, source: Source) -> Route:
    """Build from values by field. Raises `InvalidValue` with every fault."""
    faults = [*faults_of_values(values)]
    if faults:
        raise InvalidValue(faults=tuple(faults))
    return Route(name=name, source=source, **values)


def faults_of_values(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Judge the keys of a route against each other; ``values`` are by field, only those written."""
    kind = values.get("kind")
    if kind is None:
        return
    for name, kinds in _FOR.items():
        if ROUTE_KEYS[name].field in values and kind not in kinds:
            hint = f"It is for kind = {' or '.join(shown(one) for one in kinds)}."
            yield Fault(path=(name,), message=f"means nothing to a {kind}", hint=hint)
    match kind:
        case "mail":
            if not values.get("to"):
                yield Fault(message="nobody gets its mail", hint='Write to = ["ops@example.org"].')
            yield from _smtp_faults(values)
        case "webhook" | "ping":
            if (values.get("url") is None) == (values.get("url_file") is None):
                message = "it needs one of url and url_file"
                yield Fault(message=message, hint='Write url = "https://host/path".')
        case _:
            if not values.get("command"):
                hint = 'Write command = ["program", "argument"].'
                yield Fault(message="it has no command", hint=hint)
    if kind == "ping":
        if values.get("digest_s") is not None:
            yield Fault(path=("digest",), message="a ping tells of one run", hint="Remove it.")
        for position, word in enumerate(values.get("on", ())):
            if word not in _PINGED:
                message = f"a ping does not tell of {shown(word)}"
                hint = f"It tells of {', '.join(sorted(_PINGED))}."
                yield Fault(path=("on", position), message=message, hint=hint)
    elif values.get("url") is not None and "{" in values["url"]:
        yield Fault(path=("url",), message="only a ping has places", hint="Remove the braces.")
    if (values.get("late_after_s") is not None) != ("late" in values.get("on", ())):
        message = 'late_after and "late" in on go together'
        yield Fault(message=message, hint='Write on = ["failure", "late"] and late_after = "2h".')
    if values.get("digest_s") is not None and "start" in values.get("on", ()):
        yield Fault(path=("digest",), message="a start is told at once or not at all")
    if (values.get("output_bytes") or 0) > MOST_OUTPUT_BYTES:
        message = "a message holds 16 KiB of output at most"
        yield Fault(path=("output",), message=message, hint="The job keeps the rest: jobctl logs.")


def _smtp_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    if values.get("smtp") is None:
        for name in ("tls", "username", "password_file", "ca_file"):
            if ROUTE_KEYS[name].field in values:
                hint = 'Write smtp = "mail.example.org:587".'
                yield Fault(path=(name,), message="it is for smtp, which is not set", hint=hint)
    elif "sendmail" in values:
        message = "either a server takes the mail or a program does"
        yield Fault(path=("sendmail",), message=message, hint="Remove sendmail or smtp.")
    if (values.get("username") is None) != (values.get("password_file") is None):
        message = "username and password_file go together"
        yield Fault(path=("username",), message=message, hint="Write both or none.")
    elif values.get("username") is not None and values.get("tls") == "none":
        message = "the password would be sent in the clear"
        yield Fault(path=("tls",), message=message, hint='Write tls = "starttls" or "tls".')


def route_faults(
    routes: Iterable[Route],
    tasks: Iterable[Task],
    queues: Iterable[str],
    *,
    known: frozenset[str] | None,
) -> Iterator[Fault]:
    """Find routes that name no task or queue that there is, and tasks that name no route that there is.

    ``known`` are all names of tasks that there are; None: there may be more.
    """
    routes, tasks = tuple(routes), tuple(tasks)
    names = [route.name for route in routes]
    for route in routes:
        if len(route.name) > _LONGEST_NAME:
            message = f"the name is longer than {_LONGEST_NAME} characters"
            yield Fault(path=("notify", route.name), message=message, hint="Choose a shorter one.")
        if known is not None:
            yield from _unknown(route, "tasks", "task", known)
            yield from _unknown(route, "queues", "queue", frozenset(queues))
    for task in tasks:
        for position, name in enumerate(task.notify or ()):
            if name not in names:
                near = nearest(name, names)
                hint = f'Did you mean "{near}"?' if near else f"Write a table [notify.{name}]."
                path = ("tasks", task.name, "notify", position)
                yield Fault(path=path, message=f"there is no route {shown(name)}", hint=hint)


_LONGEST_NAME: Final = 100


def _unknown(route: Route, field: str, noun: str, known: frozenset[str]) -> Iterator[Fault]:
    for position, pattern in enumerate(getattr(route, field)):
        if not any(fnmatch.fnmatchcase(name, pattern) for name in known):
            near = nearest(pattern, sorted(known))
            hint = f'Did you mean "{near}"?' if near else f"Declare the {noun}, or remove it here."
            path = ("notify", route.name, field, position)
            yield Fault(path=path, message=f"there is no {noun} {shown(pattern)}", hint=hint)


def hidden(written: dict[str, Any]) -> dict[str, Any]:
    """The keys of a route for people: an address of a service may be all that protects it."""
    if written.get("url") is not None:
        written["url"] = "…"
    if written.get("command"):
        written["command"] = [written["command"][0], *["…"] * (len(written["command"]) - 1)]
    return written
