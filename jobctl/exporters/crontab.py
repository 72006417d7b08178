"""Schedules as lines of a crontab, for cronie and Debian's cron.

What the five fields cannot say is said by a guard before the command where a shell can tell the day, and
otherwise the line is a comment that says why. What stands before the lines, PATH and LANG, is what commands
find under jobctl.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from jobctl.arguments import SHELL
from jobctl.exporters.work import OUR_LANG, OUR_PATH, Unable, Work
from jobctl.schedule.bounded import BoundedSchedule
from jobctl.schedule.crontab import CrontabSchedule
from jobctl.schedule.fields import DAY_OF_MONTH, DAY_OF_WEEK, MONTH
from jobctl.schedule.interval import IntervalSchedule
from jobctl.schedule.normal import normal_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jobctl.schedule import Schedule
    from jobctl.schedule.days import DayRule
    from jobctl.schedule.fields import Field
    from jobctl.schedule.grammar import CrontabRule

POSIX_SHELLS: Final = re.compile(r".*/(?:sh|bash|dash|ash|ksh|mksh|zsh)")
_LONGEST_MIN: Final = 24 * 60


class CannotSay(Exception):
    """A crontab has no words for it; the message says for what."""


def crontab_of(
    works: Iterable[Work | Unable], *, host_timezone: str, has_users: bool, owner: str = "root"
) -> str:
    """A whole crontab, ending with a line end.

    ``has_users`` gives the form of ``/etc/cron.d``, with a column of users, in which ``owner`` is the user of
    what names none. ``host_timezone`` is the zone in which the other host's cron reads times.
    """
    table = _Table(host_timezone, owner if has_users else None)
    head = ["# Made by jobctl export crontab.", f"PATH={OUR_PATH}", f"LANG={OUR_LANG}"]
    lines = [line for work in works for line in ("", *table.lines_of(work))]
    return "\n".join([*head, *lines]) + "\n"


class _Table:
    """The lines so far, as far as those below depend on them."""

    def __init__(self, host_timezone: str, owner: str | None) -> None:
        self._host_timezone = host_timezone
        self._owner = owner
        self._zone = host_timezone
        self._env = {"PATH": OUR_PATH, "LANG": OUR_LANG}

    def lines_of(self, work: Work | Unable) -> Iterator[str]:
        if isinstance(work, Unable):
            yield from _comments(f'Schedule "{work.name}" is left out: {work.why}.')
            return
        try:
            entries = [self._entry(work, times, guard) for times, guard in _times(work.schedule)]
            variables = [*self._surroundings(work)]
        except CannotSay as error:
            yield from _comments(f'Schedule "{work.name}" is left out: {error}.')
            return
        yield from variables
        # Directly above the lines, where an importer looks for what they are about.
        if work.description:
            yield from _comments(work.description)
        for note in _notes(work):
            yield from _comments(f"Not said here: {note}.")
        yield from (entry if work.spec.enabled else f"# {entry}" for entry in entries)

    def _surroundings(self, work: Work) -> Iterator[str]:
        """Variables that differ from what stands above; they hold for the lines below."""
        shell = _shell_of(work)
        wanted = {"PATH": OUR_PATH, "LANG": OUR_LANG, **work.env}
        if shell != SHELL or "SHELL" in self._env:
            wanted["SHELL"] = shell
        lines = [
            f"{name}={_quoted(value)}"
            for name, value in wanted.items()
            if self._env.get(name) != value
        ]
        self._env.update(wanted)
        yield from lines
        zone = work.schedule.timezone
        if zone != self._zone and isinstance(_rule(work.schedule), CrontabSchedule):
            yield "# The zone is for cronie only; Debian's cron reads all times in the host's."
            yield f"CRON_TZ={zone}"
            self._zone = zone

    def _entry(self, work: Work, times: str, guard: str) -> str:
        unset = [name for name in self._env if name not in {"PATH", "LANG", "SHELL", *work.env}]
        before = [
            *([f"unset {' '.join(unset)};"] if unset else []),
            *([guard] if guard else []),
            *([f"umask {work.umask:03o};"] if work.umask is not None else []),
            *(
                [f"cd {shlex.quote(work.cwd)} || exit;"]
                if work.cwd and work.env.get("HOME") != work.cwd
                else []
            ),
        ]
        line, given = _command(work)
        if before and not POSIX_SHELLS.fullmatch(_shell_of(work)):
            raise CannotSay(f"{_shell_of(work)} does not know what stands before the command")
        text = " ".join([*before, line]).replace("%", "\\%")
        if given is not None:
            text += "%" + "%".join(
                part.replace("%", "\\%") for part in given.removesuffix("\n").split("\n")
            )
        user = f" {work.user or self._owner}" if self._owner is not None else ""
        return f"{times}{user} {text}"


def _comments(text: str) -> Iterator[str]:
    for line in text.splitlines() or [""]:
        yield "# " + "".join(letter for letter in line if letter.isprintable())


def _quoted(value: str) -> str:
    """A variable's value as cron reads it back: nothing is expanded, quotes are those around it."""
    if "\n" in value or ('"' in value and "'" in value and value != value.strip()):
        raise CannotSay("a variable with a line end or such quotes")
    if value and value == value.strip() and value[0] not in "\"'":
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'


def _shell_of(work: Work) -> str:
    words = work.argv or ()
    is_line_of_shell = len(words) == 3 and words[1] == "-c" and words[0].startswith("/")
    return words[0] if is_line_of_shell else SHELL


def _command(work: Work) -> tuple[str, str | None]:
    """The command's line and what it is given as input."""
    line = work.shell_line
    if _shell_of(work) != SHELL and work.argv is not None:
        line = work.argv[2]
    line = line.strip()
    if "\n" in line:
        raise CannotSay("its command has several lines: put them into a script")
    return line, work.stdin or None


def _notes(work: Work) -> Iterator[str]:
    yield from work.unsaid
    if work.on_overlap != "allow":
        yield f'on_overlap = "{work.on_overlap}": cron starts a second run beside the first'
    if work.on_missed != "skip":
        yield f'on_missed = "{work.on_missed}": cron forgets what it missed'
    if work.stdin and not work.stdin.endswith("\n"):
        yield "that its input has no line end at its end: cron adds one"
    if work.group is not None:
        yield f"group = {work.group}"
    if work.timeout_s is not None:
        yield f"timeout = {work.timeout_s:g}s: timeout(1) can do that"
    if work.spec.jitter_s:
        yield f"jitter = {work.spec.jitter_s:g}s: cronie has RANDOM_DELAY, in minutes"
    if work.spec.kind == "crontab" and re.search("[H~]", work.spec.expression):
        yield f"{work.spec.expression} is drawn for a host; here it is drawn once more"


# -- times ----------------------------------------------------------------------------------------


def _rule(schedule: Schedule) -> Schedule:
    return schedule.rule if isinstance(schedule, BoundedSchedule) else schedule


def _times(schedule: Schedule) -> Iterator[tuple[str, str]]:
    """Five fields or a nickname, with the guard that stands before the command, or none. Raises CannotSay."""
    rule = _rule(schedule)
    if rule.is_at_boot:
        yield "@reboot", ""
    elif isinstance(rule, IntervalSchedule):
        yield _interval(rule), ""
    elif isinstance(rule, CrontabSchedule):
        yield from _crontab(rule.rule)
    else:
        raise CannotSay(f"a crontab has no words for {rule.normal}, which is no time of day")


def _interval(rule: IntervalSchedule) -> str:
    minutes, rest = divmod(rule.every_us, 60_000_000)
    if not rest:
        if minutes < 60 and 60 % minutes == 0:
            return f"*/{minutes} * * * *" if minutes > 1 else "* * * * *"
        if minutes % 60 == 0 and minutes <= _LONGEST_MIN and _LONGEST_MIN % minutes == 0:
            hours = minutes // 60
            return (
                "0 0 * * *" if hours == 24 else f"0 */{hours} * * *" if hours > 1 else "0 * * * *"
            )
        if minutes == 7 * _LONGEST_MIN:
            return "0 0 * * 0"
    raise CannotSay(f"{rule.normal} does not divide an hour or a day")


def _crontab(rule: CrontabRule) -> Iterator[tuple[str, str]]:
    if len(rule.seconds) > 1:
        raise CannotSay("it is due several times within a minute")
    wait = f"sleep {rule.seconds[0]};" if rule.seconds[0] else ""
    minute, hour = rule.normal.split()[:2]
    for days, guard in _days(rule.days):
        yield f"{minute} {hour} {days}", " ".join(part for part in (guard, wait) if part)


def _days(days: DayRule) -> Iterator[tuple[str, str]]:
    """The three day fields with a guard. Several are given only where no day matches two of them."""
    month = normal_text(MONTH, days.months, has_star=True)
    day = _plain(DAY_OF_MONTH, days.days, is_full=days.is_every_day_of_month)
    weekday = _plain(DAY_OF_WEEK, days.weekdays, is_full=days.is_every_weekday)
    kinds = [
        name
        for name, there in (
            ("day", day), ("weekday", weekday), ("from_last", days.from_last), ("near", days.near),
            ("nth", days.nth), ("last", days.last),
        )
        if there
    ]  # fmt: skip
    match kinds, days.is_both:
        case [], _:
            yield f"* {month} *", ""
        case ["day"], _:
            yield f"{day} {month} *", ""
        case ["weekday"], _:
            yield f"* {month} {weekday}", ""
        case ["day", "weekday"], False:
            # Neither begins with a star: a day matches by one of them.
            yield f"{day} {month} {weekday}", ""
        case ["day", "weekday"], True:
            yield f"{day} {month} *", _guard_of_weekdays(days.weekdays)
        case ["from_last"], _:
            for before in days.from_last:
                yield f"{_from_last_days(before)} {month} *", _guard_of_last(before)
        case ["weekday", "from_last"], True if len(days.from_last) == 1:
            (before,) = days.from_last
            guards = f"{_guard_of_last(before)} {_guard_of_weekdays(days.weekdays)}"
            yield f"{_from_last_days(before)} {month} *", guards
        case ["nth"], _:
            for number, count in days.nth:
                first = 7 * count - 6
                yield f"{first}-{min(31, first + 6)} {month} *", _guard_of_weekdays((number,))
        case ["last"], _:
            for number in days.last:
                is_last = '[ "$(date -d "+7 days" +%m)" != "$(date +%m)" ] || exit 0;'
                yield f"* {month} {number}", is_last
        case _:
            raise CannotSay("a crontab cannot say its days")


def _plain(field: Field, values: tuple[int, ...], *, is_full: bool) -> str:
    return "" if is_full else normal_text(field, values, has_star=False) if values else ""


def _from_last_days(before: int) -> str:
    first, last = max(1, 28 - before), 31 - before
    return f"{first}-{last}" if first != last else str(first)


def _guard_of_last(before: int) -> str:
    return f'[ "$(date -d "+{before + 1} days" +%d)" = 01 ] || exit 0;'


def _guard_of_weekdays(weekdays: Iterable[int]) -> str:
    numbers = "|".join(str(weekday) for weekday in weekdays)
    return f"case $(date +%w) in {numbers}) ;; *) exit 0;; esac;"
