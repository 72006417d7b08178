"""The verdict of each line of some crontabs, with what is said about it and the tables that come of it.

Pure: what a host knows (users, folders) is handed in as a `Host`. One verdict for each line that is neither
empty nor a comment, variables included.
"""

from __future__ import annotations

import re
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final

from jobctl.importers.crontab import anacron
from jobctl.importers.crontab.commands import remarks_on
from jobctl.importers.crontab.kinds import Form
from jobctl.importers.crontab.mailing import Mailing, remarks_on_mail
from jobctl.importers.crontab.names import Names
from jobctl.importers.crontab.programs import Zone
from jobctl.importers.crontab.reading import Entry, Flaw, Line, Variable, read_table
from jobctl.importers.crontab.remarks import (
    Remark,
    Verdict,
    Weight,
    dead,
    decision,
    info,
    note,
    verdict_of,
)
from jobctl.importers.crontab.run_parts import folder_of, tables_of_scripts
from jobctl.importers.crontab.tables import FORCED, can_name_variable, table_of
from jobctl.importers.crontab.times import Times, read_times
from jobctl.schedule import ScheduleError, zone_named
from jobctl.schedule.foreign import name_foreign
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jobctl.importers.crontab.programs import Program
    from jobctl.importers.crontab.reading import Broken, Read


@dataclass(frozen=True, kw_only=True)
class Source:
    """One table of a host. ``owner`` is the user whose own it is, None for other forms or when unknown.

    ``runs_as`` is the user that its tasks must name; None when the daemon's own will do.
    """

    path: str
    data: bytes = field(repr=False)
    form: Form
    owner: str | None = None
    runs_as: str | None = None


def _no_scripts(folder: str) -> Sequence[str] | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Host:
    """What a host knows that its tables do not say.

    ``users`` are the names of all users, ``people`` of those who may have tables and are no daemons; None
    when it is not known. ``has_sendmail``: what cron mails can leave it. ``scripts`` lists a folder's programs by name, None when it cannot be read.
    """

    users: frozenset[str] | None = None
    people: frozenset[str] = frozenset()
    has_anacron: bool = False
    has_systemd: bool = True
    has_sendmail: bool = True
    scripts: Callable[[str], Sequence[str] | None] = _no_scripts


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What was asked for: ``fix`` writes what dead lines were meant to be, where that is safe;
    ``split_run_parts`` makes a task of each script of a folder."""

    fix: bool = False
    split_run_parts: bool = False


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One line. ``kind`` is ``entry``, ``variable`` or ``other``.

    ``tables`` are pairs of a path (``("tasks", "backup")``) and its keys, in the order in which they are to be
    written: as they are, or with `Verdict.DECISION` as a comment. Empty for what is not written. ``route`` is the
    name and the table of the route that they name, which several lines may share.
    """

    file: str
    line: Line
    kind: str
    remarks: tuple[Remark, ...] = ()
    tables: tuple[tuple[tuple[str, str], Mapping[str, Any]], ...] = ()
    route: tuple[str, Mapping[str, Any]] | None = None

    @property
    def verdict(self) -> Verdict:
        """What the import of the line came to."""
        return verdict_of(self.remarks)

    @property
    def task(self) -> str | None:
        """The name of its first task; None when it has none."""
        return next((path[1] for path, _ in self.tables if path[0] == "tasks"), None)


@dataclass(frozen=True, kw_only=True)
class Import:
    """Some tables, judged. ``about_files`` are pairs of a file and what is to be said of all of it."""

    lines: tuple[Judged, ...]
    about_files: tuple[tuple[str, Remark], ...] = ()

    def count(self, verdict: Verdict, kind: str = "entry") -> int:
        """How many lines of that kind came to that verdict. Lines that cron refuses count as entries."""
        kinds = ("entry", "other") if kind == "entry" else (kind,)
        return sum(1 for line in self.lines if line.verdict is verdict and line.kind in kinds)


def judge(
    sources: Sequence[Source],
    program: Program,
    *,
    host: Host | None = None,
    wishes: Wishes | None = None,
    taken: Sequence[str] = (),
    taken_routes: Sequence[str] = (),
) -> Import:
    """Judge the lines of some tables, in their order. ``taken`` are names that no task may have,
    ``taken_routes`` those that no route may have."""
    lines: list[Judged] = []
    about: list[tuple[str, Remark]] = []
    names, routes = Names(taken), set(taken_routes)
    host = host or Host()
    for source in sources:
        mailing = Mailing(source.path, routes, has_sendmail=host.has_sendmail)
        table = _Table(source, program, host, wishes or Wishes(), names, mailing)
        lines.extend(table.judge())
        about.extend((source.path, remark) for remark in table.about)
    return Import(lines=tuple(lines), about_files=tuple(about))


_TEMPLATE: Final = re.compile(rb"^[ \t]*(?:\{%|<%|\{\{.*\}\}[ \t]*$)", re.MULTILINE)
_LIKE_FIELD: Final = re.compile(
    r"(?i)\?|[0-9]+(?:[-,/][0-9]+)*|"
    r"(?:sun|mon|tue|wed|thu|fri|sat|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"(?:[-,](?:sun|mon|tue|wed|thu|fri|sat|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))*"
)
_ENTRY_IN_VALUE: Final = re.compile(r"\S+\s+(?:[0-9*]\S*\s+){4}\S|(?:\S+\s+)(?:[0-9*]\S*\s+){5}\S")
_MOST_INPUT_BYTES: Final = 1 << 20
_LONGEST_DELAY_MIN: Final = 24 * 60


@dataclass
class _Table:
    """One table while it is judged."""

    source: Source
    program: Program
    host: Host
    wishes: Wishes
    names: Names
    mailing: Mailing
    about: list[Remark] = field(default_factory=list)
    _seen: dict[tuple[str, str | None, str], int] = field(default_factory=dict)
    _has_carriage_return: bool = False
    _is_template: bool = False

    def judge(self) -> Iterator[Judged]:
        self._is_template = _TEMPLATE.search(self.source.data) is not None
        if self._is_template:
            self.about.append(
                decision(
                    "it is a template of another program: import what comes out of that program"
                )
            )
        to_owner = False
        for read in self._reads():
            judged = self._judged(read)
            to_owner = to_owner or (
                judged.kind == "entry"
                and isinstance(read, Entry)
                and "MAILTO" not in read.env
                and judged.verdict is not Verdict.DEAD
            )
            yield judged
        self.about.extend(self.mailing.about())
        if to_owner:
            self.about.append(
                note(
                    "without MAILTO cron mails what its jobs print to their user; jobctl keeps it (jobctl logs) "
                    "and mails it where MAILTO stands above the line"
                )
            )

    def _reads(self) -> Iterator[Read]:
        if self.source.form is Form.ANACRON:
            return anacron.read_table(self.source.data)
        return read_table(self.source.data, self.source.form, self.program)

    def _judged(self, read: Read) -> Judged:
        if isinstance(read, Variable):
            return self._made(
                read.line, "variable", [*self._of_line(read.line), *self._of_variable(read)]
            )
        if isinstance(read, Entry):
            return self._of_entry(read)
        return self._made(read.line, "other", [*self._of_line(read.line), *self._of_broken(read)])

    def _made(
        self, line: Line, kind: str, remarks: list[Remark], tables: Any = (), route: Any = None
    ) -> Judged:
        if self._is_template:
            # What its lines would be is not known: whatever else was said is about the template's own text.
            remarks = [decision("the file is a template of another program")]
        return Judged(
            file=self.source.path,
            line=line,
            kind=kind,
            remarks=tuple(remarks),
            tables=tuple(tables),
            route=route,
        )

    # -- lines --------------------------------------------------------------------------------------

    def _of_line(self, line: Line) -> Iterator[Remark]:
        if Flaw.NUL in line.flaws:
            yield decision("it holds a NUL character")
        if Flaw.NOT_UTF8 in line.flaws:
            yield decision("it holds bytes that are not UTF-8, which a configuration cannot hold")
        if Flaw.NO_END in line.flaws:
            yield note(
                "the last line has no line end: cronie drops it, Debian's crontab refuses the table"
            )
        if Flaw.CARRIAGE_RETURN in line.flaws and not self._has_carriage_return:
            self._has_carriage_return = True
            said = (
                "the file has line ends of DOS: under cron every command ends in a carriage return"
            )
            self.about.append(note(f"{said}; they were taken away"))
            yield note("its line end of DOS was taken away, as were those below")
        if Flaw.MARK in line.flaws:
            yield note(
                "the file begins with a byte order mark, for which cron refuses its first line"
            )
        if Flaw.BLANK in line.flaws:
            yield note(
                "it begins with a blank that cron does not know (text from a web page?) and refuses"
            )
        if Flaw.BACKSLASH in line.flaws:
            yield note("it ends with a backslash, but no line of a crontab goes on in the next one")

    # -- variables ----------------------------------------------------------------------------------

    def _of_variable(self, read: Variable) -> Iterator[Remark]:
        name, value = read.name, read.value
        if not read.is_quoted and "*" in value and _ENTRY_IN_VALUE.match(value):
            yield dead(f"to cron the whole line sets the variable {name}; it runs nothing")
            return
        if name in FORCED:
            yield note(f"cron sets {name} itself, whatever the table says")
            return
        if not can_name_variable(name):
            yield decision(f'a variable "{name}" cannot be set here; the entries below go without')
            return
        if re.search(r"\$\{?[A-Za-z_]|(?:\A|:)~", value):
            yield note("cron expands nothing in a value: commands see it as it stands")
        if not read.is_quoted and re.search(r"\s#", value):
            yield note("cron knows no comments behind a value: it is part of it")
        match name:
            case "CRON_TZ":
                yield from self._of_zone(value)
            case "TZ":
                yield info("it is for the commands; the times of the table are in the host's zone")
            case "RANDOM_DELAY" if self.program.has_delay or self.source.form is Form.ANACRON:
                if _jitter(value):
                    said = "cron draws a delay when it starts; jobctl has one for each schedule, always the same"
                    yield note(said, f'jitter = "{_jitter(value)}"')
                else:
                    yield note("it is no number of minutes up to a day: cron passes over it")
            case "MAILTO" | "MAILFROM":
                yield from remarks_on_mail(name, value)
            case "SHELL" if not value.startswith("/"):
                yield note("a SHELL that is no absolute path cannot be started")
            case _:
                pass

    def _of_zone(self, value: str) -> Iterator[Remark]:
        match self.program.zone:
            case Zone.SCHEDULES:
                yield from _bad_zone(value)
            case Zone.ENVIRONMENT:
                said = "only puts it into the environment: the times are in the host's zone"
                yield note(f"{self.program.name} {said}")
            case Zone.UNSURE:
                yield decision(
                    "the zone of the lines below to cronie, a variable to Debian's cron: say --dialect"
                )

    # -- what cron refuses --------------------------------------------------------------------------

    def _of_broken(self, read: Broken) -> Iterator[Remark]:
        text = read.line.text.strip()
        if exported := re.match(r"export\s+([^=\s]+=.*)", text):
            yield dead('a crontab knows no "export"', exported[1])
        elif empty := re.fullmatch(r"([^=\s]+)\s*=", text):
            yield dead(f"{self.program.name} refuses a variable without a value", f'{empty[1]}=""')
        elif re.match(r"[^=\s]+\s*=\s*[\"']", text):
            yield dead("cron refuses it: a value in quotes ends with its quotes and the line")
        elif (times := read_times(read.times, self.program)).remarks and not (
            times.cron or times.every
        ):
            yield from times.remarks
            yield from _of_every(read)
        elif read.rest.startswith("*"):
            offer = f'cron = "{read.times}"' if times.cron else ""
            yield dead(
                "cron refuses it: bad command, a sixth field of time stands before it", offer
            )
        elif read.reason == "bad option":
            option = read.rest.split()[0]
            yield dead(
                f"{self.program.name} refuses it: bad option {option}; OpenBSD knows -n, -q and -s "
                "(--dialect openbsd)"
            )
        elif self.source.form is Form.SYSTEM and read.rest:
            yield dead(
                f'cron refuses it: no command, because "{read.rest}" stands where the user does'
            )
        elif self.source.form is Form.ANACRON:
            yield dead("anacron refuses it: a line has a period, a delay, a name and a command")
        else:
            yield dead("there is no command: some crons refuse that, others run nothing")

    # -- entries ------------------------------------------------------------------------------------

    def _of_entry(self, entry: Entry) -> Judged:
        if self.source.form is Form.ANACRON:
            times = anacron.times_of(entry)
        else:
            times = read_times(entry.times, self.program)
        remarks = [
            *self._of_line(entry.line),
            *times.remarks,
            *_of_every(entry),
            *self._of_surroundings(entry),
            *remarks_on(entry, has_systemd=self.host.has_systemd),
        ]
        times, remarks = self._repaired(times, remarks)
        if not (times.cron or times.every) or verdict_of(remarks) is Verdict.DEAD:
            return self._made(entry.line, "entry", remarks)
        tables, more = self._tables(entry, times)
        route = self.mailing.route_of(entry)
        if route is not None:
            tables = [
                (path, {**keys, "notify": [route[0]]} if path[0] == "tasks" else keys)
                for path, keys in tables
            ]
        return self._made(entry.line, "entry", [*remarks, *more], tables, route)

    def _repaired(self, times: Times, remarks: list[Remark]) -> tuple[Times, list[Remark]]:
        """With ``--fix`` dead times as they were meant, if nothing else is dead."""
        lethal = [remark for remark in remarks if remark.weight is Weight.DEAD]
        if not (
            self.wishes.fix and times.is_safe and len(lethal) == 1 and lethal[0] in times.remarks
        ):
            return times, remarks
        (was,) = lethal
        kept = [remark for remark in remarks if remark is not was]
        repaired = Times(cron=times.repaired, every=times.repaired_every)
        return repaired, [*kept, note(f"repaired; it never ran: {was.text}")]

    def _of_surroundings(self, entry: Entry) -> Iterator[Remark]:
        yield from self._of_user(entry)
        yield from self._of_first_word(entry)
        if entry.is_quiet and entry.user is None and self.source.owner != "root":
            yield note("cronie takes a leading - from root only, and refuses the line to others")
        if "n" in entry.options:
            yield info("-n: mailed is only what it prints when it fails")
        if (
            self.program.longest_bytes
            and len(entry.written.encode(errors="replace")) > self.program.longest_bytes
        ):
            yield dead(
                f"{self.program.name} takes commands of {self.program.longest_bytes} bytes at most"
            )
        if not (entry.env.get("SHELL") or "/").startswith("/"):
            yield decision(f'its SHELL is "{entry.env["SHELL"]}", which cron cannot start')
        if len((entry.input or "").encode(errors="surrogateescape")) > _MOST_INPUT_BYTES:
            yield decision("what follows the percent sign is more than a configuration may hold")
        if "CRON_TZ" in entry.env:
            if self.program.zone is Zone.UNSURE:
                yield decision(
                    "CRON_TZ stands above it: is that the zone of its times? Say --dialect"
                )
            elif self.program.zone is Zone.SCHEDULES:
                yield from _bad_zone(entry.env["CRON_TZ"])
        if not self.program.options and re.match(r"-[a-z]\s", entry.command):
            option = entry.command[:2]
            yield dead(f'{self.program.name} knows no options: it runs "{option}" as the command')
        guard = re.search(r"test\s+-x\s+/usr/sbin/anacron\s*\|\|", entry.command)
        if guard and self.host.has_anacron:
            yield dead("it does nothing here: anacron is installed and does this job")
        yield from self._of_twin(entry)

    def _of_user(self, entry: Entry) -> Iterator[Remark]:
        user = entry.user
        if user is None:
            return
        beside = re.fullmatch(r"([A-Za-z0-9._-]+)(?::([\w.-]+))?(?:/[\w.-]+)?", user)
        if beside is not None and beside[0] != beside[1]:
            offer = f'user = "{beside[1]}"' + (f', group = "{beside[2]}"' if beside[2] else "")
            yield decision(f'"{user}" names a group or a class of login beside the user', offer)
        elif "/" in user:
            yield dead(f'"{user}" stands where the user does: there is no such user')
        elif _LIKE_FIELD.fullmatch(user):
            return
        elif self.host.users is not None and user not in self.host.users:
            yield decision(f'there is no user "{user}" on this host')

    def _of_first_word(self, entry: Entry) -> Iterator[Remark]:
        words = entry.command.split(maxsplit=1)
        if self.source.form is Form.ANACRON:
            return
        first = entry.user if entry.user is not None else (words[0] if words else "")
        if _LIKE_FIELD.fullmatch(first):
            what = "user" if entry.user is not None else "command"
            said = f'cron takes "{first}" for the {what}, but it looks like a sixth field of time'
            yield decision(said, _foreign_offer(f"{entry.times} {first}"))
        elif entry.user is None and len(words) > 1 and first in self.host.people:
            yield decision(
                f'cron runs a command "{first}", which is a user of this host: was it a line for /etc/crontab?'
            )

    def _of_twin(self, entry: Entry) -> Iterator[Remark]:
        key = (entry.times, entry.user, entry.written)
        first = self._seen.setdefault(key, entry.line.number)
        if first != entry.line.number:
            yield note(f"line {first} says the same: both run")

    # -- tables -------------------------------------------------------------------------------------

    def _tables(
        self, entry: Entry, times: Times
    ) -> tuple[list[tuple[tuple[str, str], dict[str, Any]]], list[Remark]]:
        when: dict[str, Any] = {"every": times.every} if times.every else {"cron": times.cron}
        if self.source.form is Form.ANACRON:
            when["on_missed"] = "once"
        zone = entry.env.get("CRON_TZ") if self.program.zone is Zone.SCHEDULES else None
        has_delay = self.program.has_delay or self.source.form is Form.ANACRON
        delay = entry.env.get("RANDOM_DELAY", "") if has_delay else ""
        if times.every or self.source.form is Form.ANACRON:
            # Neither starts a second run beside the first.
            entry = replace(entry, options=entry.options + "s")
        table = table_of(
            entry,
            self.program,
            when=when,
            zone=zone or None,
            owner=self.source.runs_as,
            jitter=_jitter(delay),
        )
        folder = folder_of(entry.command)
        if folder is None:
            return [(("tasks", self._name(entry)), table)], []
        if not self.wishes.split_run_parts:
            said = f"it runs the scripts of {folder}; --split-run-parts makes a task of each"
            return [(("tasks", self._name(entry)), table)], [info(said)]
        scripts = self.host.scripts(folder)
        if scripts is None:
            said = f"the folder {folder} cannot be read, so its scripts stay one task"
            return [(("tasks", self._name(entry)), table)], [note(said)]
        made = list(tables_of_scripts(folder, scripts, table, self.names.name_of))
        said = f"{len(scripts)} scripts of {folder}, one after another; a new script needs another import"
        return made, [note(said)]

    def _name(self, entry: Entry) -> str:
        known = anacron.name_of(entry) if self.source.form is Form.ANACRON else entry.command
        return self.names.name_of(known)


def _jitter(minutes: str) -> str:
    """RANDOM_DELAY as a span; empty for none, and for what cron passes over."""
    found = re.match(r"\s*\+?([0-9]+)", minutes)
    count = int(found[1]) if found else 0
    return f"{count}m" if 0 < count <= _LONGEST_DELAY_MIN else ""


def _bad_zone(value: str) -> Iterator[Remark]:
    if not value:
        return
    try:
        zone_named(value)
    except ScheduleError as error:
        yield decision(f"CRON_TZ: {error.message}", error.hint)


def _of_every(read: Entry | Broken) -> Iterator[Remark]:
    """``@every 5m command``, which other schedulers know: the span stands before the command."""
    rest = read.written if isinstance(read, Entry) else read.rest
    span = re.match(r"([0-9]+(?:\.[0-9]+)?[smhd](?:[0-9]+[smhd])*)\s+\S", rest)
    if read.times == "@every" and span:
        yield info('other schedulers know "@every"', f'every = "{span[1]}"')


def _foreign_offer(text: str) -> str:
    foreign = name_foreign(text)
    found = re.fullmatch(r'Write "([^"]+)"\.', foreign.hint) if foreign is not None else None
    return f'cron = "{found[1]}"' if found else ""
