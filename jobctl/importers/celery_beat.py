"""Celery's beat schedule becomes ``[schedules.X]`` tables.

Pure: takes what `jobctl.importers.celery_reader` printed, gives back tables and what is to be said about
each entry. Where the same words mean something else here, the tables say what Celery meant:

* beat submits without looking at what still runs: ``on_overlap = "allow"``;
* an entry that came due while beat was down runs once when it is back: ``on_missed = "once"``;
* a crontab whose two day fields are both restricted means both of them: ``dialect = "celery"``.

Source: Celery 5.6, user guide "Periodic Tasks", and the behaviour of `celery.schedules`.
"""

from __future__ import annotations

import re
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from jobctl.config.writing import commented, table_text
from jobctl.schedule import Kind, ScheduleError, parse_schedule
from jobctl.schedule.fields import Dialect
from jobctl.schedule.grammar import CrontabRule, parse_crontab_text
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FIELDS: Final = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_BUILT_IN: Final = "celery."
_UNUSED_OPTIONS: Final = frozenset(
    {"exchange", "exchange_type", "routing_key", "delivery_mode", "serializer", "compression"}
)
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}\Z")


class Verdict(StrEnum):
    """What an entry's import came to."""

    CLEAN = "clean"
    """It means the same here."""
    NOTE = "note"
    """It is there, and something about it is different."""
    DECISION = "decision"
    """It is there as a comment: a person has to decide."""
    LEFT_OUT = "left out"
    """It has no meaning here."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """One entry. ``name`` is that of its table, ``entry`` what Celery called it.

    ``table`` is the schedule's; None when nothing can be written. With `Verdict.DECISION` it is to be
    written as a comment.
    """

    entry: str
    name: str
    task: str
    verdict: Verdict
    notes: tuple[str, ...] = ()
    table: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class BeatImport:
    """A whole schedule. ``tasks`` are the tables of the tasks, by name, ``entries`` in Celery's order."""

    entries: tuple[Imported, ...]
    tasks: Mapping[str, Mapping[str, Any]]

    def text(self) -> str:
        """All of it as TOML. What waits for a decision is a comment, with the reasons above it."""
        parts = [table_text(("tasks", name), table) for name, table in self.tasks.items()]
        parts += [_text_of(entry) for entry in self.entries if entry.table is not None]
        return _visible("\n".join(parts))


@dataclass
class _Entry:
    """One entry while its table is made. ``notes`` and ``open`` say what a person should know or decide."""

    read: Mapping[str, Any]
    name: str
    table: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    @property
    def task(self) -> str:
        return str(self.read["task"])


def convert(read: Mapping[str, Any]) -> BeatImport:
    """Make tables of what `jobctl.importers.celery_reader` read."""
    taken: set[str] = set()
    entries = []
    for each in read["entries"]:
        entry = _Entry(each, "")
        entry.name = _name_of(entry, taken)
        taken.add(entry.name)
        entries.append(entry)
    zone = read.get("timezone")
    for entry in entries:
        _take_schedule(entry, zone)
        _take_arguments(entry)
        _take_options(entry)
    tasks = _tasks_of(entries)
    return BeatImport(entries=tuple(_ended(entry) for entry in entries), tasks=tasks)


def _name_of(entry: _Entry, taken: set[str]) -> str:
    written = str(entry.read["name"])
    name = written
    if not _NAME.match(written):
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", written).strip("-.")[:190] or "entry"
    number = 2
    base = name
    while name in taken:
        name = f"{base}-{number}"
        number += 1
    if name != written:
        entry.notes.append(f'called "{name}" here: a name has letters, digits, "_", "." and "-"')
    return name


# -- when -----------------------------------------------------------------------------------------


def _take_schedule(entry: _Entry, zone: str | None) -> None:
    schedule = entry.read["schedule"]
    entry.table["task"] = entry.task
    match schedule["kind"]:
        case "interval":
            _take_interval(entry, schedule["seconds"])
        case "crontab":
            _take_crontab(entry, schedule, zone)
        case "solar":
            _take_solar(entry, schedule)
        case _:
            entry.open.append(
                f"its schedule is a {schedule['type']}, a class of the application: "
                "write every, cron, at or solar in its place"
            )
    entry.table["on_overlap"] = "allow"
    entry.table["on_missed"] = "once"


def _take_interval(entry: _Entry, seconds: float) -> None:
    if seconds <= 0:
        entry.open.append("beat runs it all the time, without a pause: write every with a span")
        return
    entry.table["every"] = _span_of(seconds)
    if entry.read["relative"]:
        entry.notes.append(
            "relative: beat rounds its instants to whole minutes, hours or days; here they are counted "
            "from when the schedule begins"
        )


def _span_of(seconds: float) -> str:
    """The span in the largest unit that needs no fraction."""
    whole = round(seconds)
    if whole != seconds:
        return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def _take_crontab(entry: _Entry, schedule: Mapping[str, Any], zone: str | None) -> None:
    means = schedule["means"]
    try:
        wanted = parse_crontab_text(_lists(means), dialect=Dialect.CELERY)
    except ScheduleError as error:
        entry.open.append(f"its crontab cannot be read: {error.message}")
        return
    text = " ".join(schedule["written"][name] for name in _FIELDS)
    if not _means(text, Dialect.CELERY, wanted):
        entry.notes.append(f'written as lists: "{text}" is not written so here')
        text = _lists(means)
    entry.table["cron"] = text
    if not _means(text, Dialect.CRONIE, wanted):
        entry.table["dialect"] = "celery"
        is_joined = len(means["day_of_month"]) < 31 and len(means["day_of_week"]) < 7
        entry.notes.append(
            'dialect = "celery": both day fields have to match, in cron one is enough'
            if is_joined
            else 'dialect = "celery": it has a range that runs over the end of its field'
        )
    if zone is not None:
        entry.table["timezone"] = zone
    try:
        parse_schedule(
            Kind.CRONTAB, text, timezone=zone or "UTC", dialect=entry.table.get("dialect", "cronie")
        )
    except ScheduleError as error:
        entry.open.append(error.message)
    if schedule["type"] != "crontab":
        entry.notes.append(
            f"a {schedule['type']}, a class of the application: what it adds to a crontab is lost"
        )


def _lists(means: Mapping[str, Iterable[int]]) -> str:
    """A crontab of plain lists; a full field is a star."""
    full = {"minute": 60, "hour": 24, "day_of_month": 31, "month_of_year": 12, "day_of_week": 7}
    fields = []
    for name in _FIELDS:
        values = sorted(set(means[name]))
        is_full = len(values) == full[name]
        fields.append("*" if is_full else ",".join(str(value) for value in values))
    return " ".join(fields)


def _means(text: str, dialect: Dialect, wanted: CrontabRule) -> bool:
    """The text names the wanted times in this dialect."""
    try:
        rule = parse_crontab_text(text, dialect=dialect)
    except ScheduleError:
        return False
    return (rule.seconds, rule.minutes, rule.hours) == (
        wanted.seconds,
        wanted.minutes,
        wanted.hours,
    ) and _days_of(rule) == _days_of(wanted)


def _days_of(rule: CrontabRule) -> object:
    """What decides about days: how two fields are joined does not matter when one of them is full."""
    days = rule.days
    is_joined = len(days.days) < 31 and len(days.weekdays) < 7
    return days.months, days.days, days.weekdays, days.is_both if is_joined else None


def _take_solar(entry: _Entry, schedule: Mapping[str, Any]) -> None:
    entry.table["solar"] = {key: schedule[key] for key in ("event", "latitude", "longitude")}


# -- what -----------------------------------------------------------------------------------------


def _take_arguments(entry: _Entry) -> None:
    for fault in entry.read["faults"]:
        entry.open.append(f"{fault}; arguments are JSON here")
    for name in ("args", "kwargs"):
        value = entry.read[name]
        if not value:
            continue
        if _holds_null(value):
            entry.open.append(
                f"{name} holds None, which TOML cannot say: let the function's default do it"
            )
        else:
            entry.table[name] = value


def _holds_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_null(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_holds_null(inner) for inner in value)
    return value is None


def _take_options(entry: _Entry) -> None:
    """What is said with each message. Queue and priority belong to the task here: `_tasks_of`."""
    for name, value in entry.read["options"].items():
        if value is None or name in ("queue", "priority"):
            continue
        if name == "expires" and isinstance(value, (int, float)):
            entry.table["expires"] = _span_of(value)
        elif name in _UNUSED_OPTIONS:
            entry.notes.append(f"option {name} is about the broker, and there is none")
        else:
            entry.open.append(f"option {name} = {value!r} has no counterpart on a schedule")


def _tasks_of(entries: list[_Entry]) -> dict[str, dict[str, Any]]:
    """The tables of the tasks that the entries name, each once."""
    tasks: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.task.startswith(_BUILT_IN):
            continue
        function = entry.read["function"]
        if function is None:
            entry.open.append(
                f'"{entry.task}" was not found in the application: declare the task, then remove the '
                "comment signs"
            )
            continue
        if entry.read["is_bound"]:
            entry.notes.append(
                "the task is bound: self.request is empty here, and self.retry() fails; see the page"
            )
        if not _NAME.match(entry.task):
            entry.open.append(f'"{entry.task}" is no name of a task here: give it another one')
            continue
        table = tasks.setdefault(entry.task, {"function": function})
        for option in ("queue", "priority"):
            value = entry.read["options"].get(option)
            if value is None or (option == "priority" and not value):
                continue
            if option == "priority":
                entry.notes.append(
                    "a higher priority goes first here; with Redis a lower one does in Celery"
                )
            if table.setdefault(option, value) != value:
                entry.open.append(
                    f"{option} is the task's here, and its entries name several: {table[option]}, {value}"
                )
    return tasks


def _ended(entry: _Entry) -> Imported:
    if entry.task.startswith(_BUILT_IN):
        return Imported(
            entry=str(entry.read["name"]),
            name=entry.name,
            task=entry.task,
            verdict=Verdict.LEFT_OUT,
            notes=("a task of Celery's own: old results are removed by [daemon] keep here",),
        )
    verdict = Verdict.CLEAN
    if entry.notes:
        verdict = Verdict.NOTE
    if entry.open:
        verdict = Verdict.DECISION
    return Imported(
        entry=str(entry.read["name"]),
        name=entry.name,
        task=entry.task,
        verdict=verdict,
        notes=(*entry.open, *entry.notes),
        table=entry.table,
    )


def _text_of(entry: Imported) -> str:
    assert entry.table is not None
    table = table_text(("schedules", entry.name), entry.table)
    if entry.verdict is Verdict.DECISION:
        table = commented(table)
    # A note may quote the application; a line end in it must not end the comment.
    notes = (note.replace("\n", "\\n") for note in entry.notes)
    return "".join(f"# {note}\n" for note in notes) + table


def _visible(text: str) -> str:
    """The text with TOML's escapes for what a terminal would act on; they can stand in strings only."""
    return "".join(
        letter if letter == "\n" or letter.isprintable() else f"\\u{ord(letter):04x}"
        for letter in text
    )
