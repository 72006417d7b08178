"""Schedules as systemd units: a service and a timer for each. Sources: systemd.time(7), systemd.timer(5).

A calendar expression of systemd joins weekday and date by "both", so a crontab that means either gets two
lines. It knows the last days of a month (``~01``), which cron does not, and it knows no working days.
"""

from __future__ import annotations

import re
from base64 import b64encode
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from jobctl.exporters.work import OUR_LANG, OUR_PATH, Unable, Work
from jobctl.schedule.bounded import BoundedSchedule
from jobctl.schedule.clocked import ClockedSchedule
from jobctl.schedule.crontab import CrontabSchedule
from jobctl.schedule.days import EVERY_MONTH
from jobctl.schedule.interval import IntervalSchedule
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jobctl.schedule import Schedule
    from jobctl.schedule.days import DayRule
    from jobctl.schedule.grammar import CrontabRule

_WEEKDAYS: Final = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_NAME: Final = re.compile(r"[A-Za-z0-9:_.-]+")


class CannotSay(Exception):
    """systemd has no words for it; the message says for what."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One file. ``name`` ends with ``.service`` or ``.timer``."""

    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Units:
    """All files, and pairs of a schedule and what systemd cannot say of it."""

    units: tuple[Unit, ...]
    notes: tuple[tuple[str, str], ...]


def units_of(works: Iterable[Work | Unable], *, prefix: str = "") -> Units:
    """The units of some schedules. What systemd cannot say is left out, and told."""
    units: list[Unit] = []
    notes: list[tuple[str, str]] = []
    for work in works:
        if isinstance(work, Unable):
            notes.append((work.name, f"left out: {work.why}"))
            continue
        try:
            timer = _timer(work)
        except CannotSay as error:
            notes.append((work.name, f"left out: {error}"))
            continue
        name = f"{prefix}{work.name}"
        units.append(Unit(name=f"{name}.service", text=_service(work, is_alone=not timer)))
        if timer:
            units.append(Unit(name=f"{name}.timer", text=timer))
        notes.extend((work.name, note) for note in _notes(work))
    return Units(units=tuple(units), notes=tuple(notes))


def _notes(work: Work) -> Iterator[str]:
    yield from (f"not said there: {unsaid}" for unsaid in work.unsaid)
    if work.on_overlap in ("allow", "replace"):
        yield f'not said there: on_overlap = "{work.on_overlap}": systemd never starts a second run beside the first'
    if isinstance(_rule(work.schedule), CrontabSchedule) and not work.schedule.is_at_boot:
        zone = work.schedule.timezone
        if zone != "UTC":
            yield "on days on which clocks change systemd leaves out what falls into the hour that is skipped"
    if not work.spec.enabled:
        yield "it is not enabled here: do not enable its timer"


# -- the service ----------------------------------------------------------------------------------


def _service(work: Work, *, is_alone: bool) -> str:
    lines = [
        "[Unit]",
        f"Description={_plain(work.description or work.name)}",
        "",
        "[Service]",
        "Type=oneshot",
        f"ExecStart={' '.join(quoted(word) for word in work.words)}",
        f"Environment={quoted(f'PATH={OUR_PATH}', is_command=False)}",
        f"Environment={quoted(f'LANG={OUR_LANG}', is_command=False)}",
        *(
            f"Environment={quoted(f'{name}={value}', is_command=False)}"
            for name, value in work.env.items()
        ),
    ]
    if work.user is not None:
        lines.append(f"User={work.user}")
    if work.group is not None:
        lines.append(f"Group={work.group}")
    if work.stdin:
        encoded = b64encode(work.stdin.encode("utf-8", errors="surrogateescape")).decode()
        lines += ["StandardInput=data", f"StandardInputData={encoded}"]
    lines.append(f"WorkingDirectory={_plain(work.cwd) if work.cwd else '~'}")
    if work.umask is not None:
        lines.append(f"UMask={work.umask:04o}")
    lines.append(
        f"TimeoutStartSec={f'{work.timeout_s:g}s' if work.timeout_s is not None else 'infinity'}"
    )
    # As cron and jobctl: what a command leaves running is left.
    lines.append("KillMode=process")
    if is_alone:
        lines += ["", "[Install]", "WantedBy=multi-user.target"]
    return "\n".join(lines) + "\n"


def quoted(word: str, *, is_command: bool = True) -> str:
    r"""A word as systemd reads it back: quotes, ``%%``, in commands ``$$``, escapes for what is no text."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if is_command:
        text = text.replace("$", "$$")
    text = "".join(_escaped(letter) for letter in text)
    is_plain = (
        text
        and re.fullmatch(r"[\w@+=:,./%$-]+", text, re.ASCII)
        and not text.startswith(("@", "-", "+", ":", "!"))
    )
    return text if is_plain else f'"{text}"'


def _escaped(letter: str) -> str:
    if letter.isprintable():
        return letter
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", errors="surrogateescape"))


def _plain(text: str) -> str:
    """Text of a setting that is no command: one line, with its percent signs protected."""
    return (
        "".join(letter if letter.isprintable() else " " for letter in text)
        .replace("%", "%%")
        .rstrip("\\")
    )


# -- the timer ------------------------------------------------------------------------------------


def _rule(schedule: Schedule) -> Schedule:
    return schedule.rule if isinstance(schedule, BoundedSchedule) else schedule


def _timer(work: Work) -> str:
    """The timer; empty for what belongs to the boot and needs none. Raises CannotSay."""
    rule = _rule(work.schedule)
    if rule.is_at_boot:
        return ""
    lines = ["[Unit]", f"Description={_plain(work.description or work.name)}", "", "[Timer]"]
    lines += _elapses(rule)
    if work.on_missed != "skip":
        lines.append("Persistent=true")
    if work.spec.jitter_s:
        lines += [f"RandomizedDelaySec={work.spec.jitter_s:g}s", "FixedRandomDelay=true"]
    lines += ["AccuracySec=1us", "", "[Install]", "WantedBy=timers.target"]
    return "\n".join(lines) + "\n"


def _elapses(rule: Schedule) -> list[str]:
    if isinstance(rule, IntervalSchedule):
        span = (
            f"{rule.every_us}us" if rule.every_us % 1_000_000 else f"{rule.every_us // 1_000_000}s"
        )
        return [f"OnActiveSec={span}", f"OnUnitActiveSec={span}"]
    if isinstance(rule, ClockedSchedule):
        return [f"OnCalendar=@{rule.at_us // 1_000_000}"]
    if isinstance(rule, CrontabSchedule):
        return [f"OnCalendar={text} {rule.timezone}" for text in calendars(rule.rule)]
    raise CannotSay(f"systemd has no words for {rule.normal}")


def calendars(rule: CrontabRule) -> list[str]:
    """Calendar expressions that together name the local times of a crontab. Raises CannotSay.

    A time that two of them name elapses once: a timer joins its lines.
    """
    clock = ":".join(
        "*" if len(values) == size else _listed(values, digits=2)
        for values, size in ((rule.hours, 24), (rule.minutes, 60), (rule.seconds, 61))
    )
    return [f"{day} {clock}" for day in _dates(rule.days)]


def _dates(days: DayRule) -> list[str]:
    if days.near:
        raise CannotSay("systemd knows no working days")
    month = "*" if days.months == EVERY_MONTH else _listed(days.months, digits=2)
    weekdays = "" if days.is_every_weekday or not days.weekdays else _weekdays(days.weekdays)
    # Of each field what it says by itself; a weekday of a certain week is a date and a weekday.
    by_month = [] if days.is_every_day_of_month else [
        *([f"-{_listed(days.days, digits=2)}"] if days.days else []),
        *(f"~{before + 1:02}" for before in days.from_last),
    ]  # fmt: skip
    by_week = [] if days.is_every_weekday else [
        *([(weekdays, "-*")] if weekdays else []),
        *((_WEEKDAYS[number], f"-{7 * count - 6:02}..{min(31, 7 * count):02}") for number, count in days.nth),
        *((_WEEKDAYS[number], "~07/1") for number in days.last),
    ]  # fmt: skip
    if by_month and by_week and days.is_both:
        if any(date != "-*" for _, date in by_week):
            raise CannotSay("its days have to match two dates at once")
        return [f"{weekday} *-{month}{date}" for date in by_month for weekday, _ in by_week]
    dates = [f"*-{month}{date}" for date in by_month]
    dates += [f"{weekday} *-{month}{date}" for weekday, date in by_week]
    return dates or [f"*-{month}-*"]


def _weekdays(numbers: Sequence[int]) -> str:
    # Monday first: ".." runs from Monday to Sunday.
    rising = sorted((number - 1) % 7 for number in numbers)
    return ",".join(
        _WEEKDAYS[(run[0] + 1) % 7]
        if len(run) == 1
        else f"{_WEEKDAYS[(run[0] + 1) % 7]}..{_WEEKDAYS[(run[-1] + 1) % 7]}"
        for run in _runs(rising)
    )


def _listed(values: Sequence[int], *, digits: int) -> str:
    return ",".join(
        f"{run[0]:0{digits}}" if len(run) == 1 else f"{run[0]:0{digits}}..{run[-1]:0{digits}}"
        for run in _runs(values)
    )


def _runs(values: Sequence[int]) -> list[list[int]]:
    found = [[values[0]]] if values else []
    for before, value in pairwise(values):
        if value == before + 1:
            found[-1].append(value)
        else:
            found.append([value])
    return found
