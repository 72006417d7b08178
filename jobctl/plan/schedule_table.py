"""The ``[schedules.NAME]`` table: what its keys are, and the schedule that one declares."""

from __future__ import annotations

import datetime
import json
import sys
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from jobctl.task import (
    MISSED_LIMIT,
    ON_MISSED,
    ON_OVERLAP,
    UNKNOWN_SOURCE,
    Source,
)
from jobctl.task.keys import (
    ARGS,
    FLAG,
    KWARGS,
    LATITUDE,
    LONGITUDE,
    NAME,
    POSITIVE_SPAN,
    SPAN,
    TEXT,
    ZONE,
    BoundKey,
    Json,
    Mark,
    choice,
    key,
    keys_of,
    read_values,
    whole,
    write_values,
)
from jobctl.task.units import Fault, InvalidValue, format_span, parse_span, shown
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


def _read_every(value: object) -> str:
    # The text is kept, so that listings show what was written; its meaning is the schedule's.
    span_s = parse_span(value)
    return value if isinstance(value, str) else format_span(span_s)


def _read_cron(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"{shown(value)} is not text", hint='Write cron = "30 2 * * *".')
    return value


def _read_at(value: object) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, str):
        return value
    raise InvalidValue(f"{shown(value)} is not a moment", hint='Write at = "2030-01-31 12:00".')


@dataclass(frozen=True, kw_only=True)
class Sun:
    """The inline table ``solar = { event = …, latitude = …, longitude = … }``."""

    event: str = field(metadata=key("event", TEXT, 'Such as "sunrise" or "sunset".'))
    latitude: float = field(metadata=key("latitude", LATITUDE, "North is positive."))
    longitude: float = field(metadata=key("longitude", LONGITUDE, "East is positive."))


def _read_solar(value: object) -> str:
    hint = 'Write solar = { event = "sunset", latitude = 52.52, longitude = 13.40 }.'
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        raise InvalidValue(f"{shown(value)} is not a table", hint=hint)
    return json.dumps(read_values(keys_of(Sun), value), sort_keys=True)


_EVERY: Final = Mark(
    word="span",
    read=_read_every,
    write=str,
    schema={"type": ["string", "number"], "examples": ["30s", "1h"]},
    unit="seconds",
)
_CRON: Final = Mark(
    word="crontab expression",
    read=_read_cron,
    write=str,
    schema={"type": "string", "examples": ["30 2 * * *", "@daily"]},
)
_AT: Final = Mark(
    word="moment",
    read=_read_at,
    write=str,
    schema={"type": "string", "examples": ["2030-01-31 12:00"]},
)
_MOMENT: Final = Mark(
    word="moment",
    read=_read_at,
    write=str,
    schema={"type": "string", "examples": ["2030-01-31 12:00", "2030-01-31"]},
)
_SOLAR: Final = Mark(
    word="table of event, latitude, longitude",
    read=_read_solar,
    write=str,
    schema={
        "type": "object",
        "properties": {name: dict(bound.key.mark.schema) for name, bound in keys_of(Sun).items()},
        "required": ["event", "latitude", "longitude"],
        "additionalProperties": False,
    },
)


@dataclass(frozen=True, kw_only=True)
class When:
    """The keys that say when a schedule is due, of which it has exactly one."""

    every: str | None = field(
        default=None, metadata=key("every", _EVERY, "Due each time this span has passed.")
    )
    cron: str | None = field(
        default=None, metadata=key("cron", _CRON, "Due at the local times of a crontab expression.")
    )
    at: str | None = field(default=None, metadata=key("at", _AT, "Due once, at this moment."))
    solar: str | None = field(
        default=None, metadata=key("solar", _SOLAR, "Due at an event of the sun at a place.")
    )


STORED: Final = Source(file="jobctl schedule add")
"""Where a schedule comes from that a command has added."""

KINDS: Final[Mapping[str, str]] = {
    "every": "interval",
    "cron": "crontab",
    "at": "clocked",
    "solar": "solar",
}
"""The kind of schedule (`jobctl.schedule`) behind each key of `When`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleSpec:
    """A schedule as declared: of a ``[schedules.X]`` table, of a task's own table, or stored.

    ``kind`` and ``expression`` are what `jobctl.schedule.parse_schedule` takes; ``start`` and ``end`` are
    moments as `jobctl.schedule.moment_of` takes them. ``timezone`` None means the daemon's; in a
    `jobctl.plan.Plan` it is always set. ``args``, ``kwargs``, ``on_overlap``, ``on_missed``,
    ``missed_within_s`` and ``missed_limit`` None mean the task's. A schedule in a task's own table is
    named like the task.
    """

    name: str
    kind: str
    expression: str
    task: str = field(metadata=key("task", NAME, "The task whose jobs it makes."))
    timezone: str | None = field(
        default=None,
        metadata=key(
            "timezone", ZONE, "The zone in which it is meant.", default_text="that of `[daemon]`"
        ),
    )
    dialect: str = field(
        default="cronie",
        metadata=key(
            "dialect",
            choice("cronie", "celery"),
            "How a crontab expression joins its two day fields: `cronie` means either day, `celery` both.",
        ),
    )
    jitter_s: float = field(
        default=0.0,
        metadata=key(
            "jitter",
            SPAN,
            "Each instant is put off by up to this span, always by the same for one schedule and host.",
        ),
    )
    start: str | None = field(
        default=None,
        metadata=key(
            "start",
            _MOMENT,
            "No instant before this moment counts. An interval is counted from it.",
            default_text="at once",
        ),
    )
    end: str | None = field(
        default=None,
        metadata=key(
            "end",
            _MOMENT,
            "No instant after this moment counts; the moment itself does.",
            default_text="never",
        ),
    )
    max_runs: int | None = field(
        default=None,
        metadata=key(
            "max_runs",
            whole(1, 1_000_000_000),
            "After how many jobs it is done.",
            default_text="no limit",
        ),
    )
    args: tuple[Json, ...] | None = field(
        default=None,
        repr=False,
        metadata=key("args", ARGS, "Positional arguments of its jobs.", default_text="the task's"),
    )
    kwargs: Mapping[str, Json] | None = field(
        default=None,
        repr=False,
        metadata=key(
            "kwargs",
            KWARGS,
            "Named arguments; they replace the task's one by one.",
            default_text="the task's",
        ),
    )
    on_overlap: str | None = field(
        default=None,
        metadata=key("on_overlap", ON_OVERLAP, "As for tasks.", default_text="the task's"),
    )
    on_missed: str | None = field(
        default=None,
        metadata=key("on_missed", ON_MISSED, "As for tasks.", default_text="the task's"),
    )
    missed_within_s: float | None = field(
        default=None,
        metadata=key("missed_within", POSITIVE_SPAN, "As for tasks.", default_text="the task's"),
    )
    missed_limit: int | None = field(
        default=None,
        metadata=key("missed_limit", MISSED_LIMIT, "As for tasks.", default_text="the task's"),
    )
    expires_s: float | None = field(
        default=None,
        metadata=key(
            "expires",
            POSITIVE_SPAN,
            "How long after its instant a job may still start; later it is revoked.",
            default_text="that of the task, counted from the submission",
        ),
    )
    enabled: bool = field(
        default=True, metadata=key("enabled", FLAG, "Whether its instants make jobs.")
    )
    source: Source = field(default=UNKNOWN_SOURCE, compare=False)

    @property
    def is_stored(self) -> bool:
        """Whether a command has added it, not the file or the code."""
        return self.source == STORED

    @property
    def when_key(self) -> str:
        """The key of `When` that it was written with."""
        return next(name for name, kind in KINDS.items() if kind == self.kind)

    def to_json(self, *, brief: bool = False) -> dict[str, Json]:
        """Give ``name``, ``kind``, ``expression``, ``source`` and the keys of its table that have a value.

        With ``brief`` those that have their default are left out.
        """
        return {
            "name": self.name,
            "kind": self.kind,
            "expression": self.expression,
            "source": self.source.to_json(),
            **write_values(self, brief=brief),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ScheduleSpec:
        """Take what `to_json` gave. Raises `InvalidValue` for other keys or values."""
        own = ("name", "kind", "expression", "source")
        written = {name: value for name, value in data.items() if name not in own}
        if data["kind"] not in KINDS.values():
            raise InvalidValue(f"{shown(data['kind'])} is not a kind of schedule")
        return cls(
            name=NAME.read(data["name"]),
            kind=sys.intern(data["kind"]),
            expression=sys.intern(str(data["expression"])),
            source=Source.from_json(data["source"]),
            **_shared(read_values(keys_of(cls), written)),
        )


def _shared(values: dict[str, Any]) -> dict[str, Any]:
    """The same values; texts that most schedules have in common are one object for all of them."""
    for name in ("task", "timezone", "dialect"):
        if isinstance(values.get(name), str):
            values[name] = sys.intern(values[name])
    return values


TIMING: Final = ("timezone", "dialect", "jitter", "start", "end", "max_runs", "enabled")
"""Keys of a schedule that may stand beside `When` in a task's own table."""
SCHEDULE_KEYS: Final[Mapping[str, BoundKey]] = {**keys_of(When), **keys_of(ScheduleSpec)}


def read_schedule(name: str, written: Mapping[str, object], *, source: Source) -> ScheduleSpec:
    """Read a ``[schedules.X]`` table. Raises `InvalidValue` with every fault."""
    return build_schedule(name, read_values(SCHEDULE_KEYS, written), source=source)


def build_schedule(name: str, values: Mapping[str, Any], *, source: Source) -> ScheduleSpec:
    """Build from values by field. Raises `InvalidValue` unless exactly one key of `When` is there.

    Whether the expression means anything is judged by `jobctl.plan.check.schedule_faults`.
    """
    faults = faults_of_when(values, required=True)
    if faults:
        raise InvalidValue(faults=faults)
    written = next(name for name in KINDS if values.get(name) is not None)
    rest = {field: value for field, value in values.items() if field not in KINDS}
    return ScheduleSpec(
        name=name, kind=KINDS[written], expression=values[written], source=source, **_shared(rest)
    )


def faults_of_when(values: Mapping[str, Any], *, required: bool) -> tuple[Fault, ...]:
    """Judge how many of the keys of `When` a table has, from values by field."""
    written = [name for name in KINDS if values.get(name) is not None]
    if required and not written:
        hint = 'Write every = "5m", cron = "30 2 * * *", at = "2030-01-31 12:00" or solar = { … }.'
        beside = [name for name in TIMING if keys_of(ScheduleSpec)[name].field in values]
        path = (beside[0],) if beside else ()
        return (
            Fault(path=path, message="no every, cron, at or solar says when it is due", hint=hint),
        )
    hint = "Keep one of them; give the others a [schedules.NAME] table of their own."
    return tuple(
        Fault(path=(name,), message=f"{' and '.join(written)} are both set", hint=hint, on_key=True)
        for name in written[1:]
    )


def read_stored(name: str, table: str) -> ScheduleSpec:
    """Read the table of a stored schedule from its JSON text. Raises `InvalidValue` with every fault."""
    try:
        written = json.loads(table)
    except ValueError as error:
        raise InvalidValue(f"the stored table is not JSON: {error}") from None
    if not isinstance(written, dict):
        raise InvalidValue("the stored table is not a table")
    return read_schedule(name, written, source=STORED)
