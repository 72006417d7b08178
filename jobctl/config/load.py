"""The configuration child: ``python -m jobctl.config.load FILE [--json]``.

Reads a file and its ``conf.d``, judges everything, prints the plan or every problem, and ends. It is a
process of its own so that the daemon never loads what reading needs, and so that a bad file can hurt nobody
(`jobctl.config.child` is the other side). With ``--json`` the answer is one object on a line::

    {"ok": true, "plan": {…}, "tasks": 3, "overrides": 0, "schedules": 2}
                                         what `jobctl.plan.FilePlan.to_json` gives, but none of these: so many
                                         lines below are one of them each, in this order
    {"ok": false, "errors": [{…}, …]}    file, line, column, key, message, hint, source

Exit code 0, or 78 with problems. Nothing is looked up but the files, the time zones and the users of
this host; no code of a user is imported.
"""

from __future__ import annotations

import dataclasses
import gc
import grp
import json
import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl.config.files import Files, TomlFile, read_files
from jobctl.config.problems import problem_to_json, problems_text
from jobctl.config.tables import read_table
from jobctl.errors import ConfigError, Problem
from jobctl.plan.check import check_file, dotted, subject
from jobctl.plan.file import MANY, FilePlan, one_to_json
from jobctl.plan.routes import ROUTE_KEYS, Route, build_route, faults_of_values
from jobctl.plan.schedule_table import KINDS, ScheduleSpec, build_schedule
from jobctl.plan.tables import (
    LATER_TABLES,
    TABLES,
    DaemonSettings,
    MetricsSettings,
    Override,
    Queue,
    Table,
    WorkerGroup,
    build_task_table,
)
from jobctl.task import Source, Task
from jobctl.task.keys import NAME, nearest
from jobctl.task.units import Fault, InvalidValue, shown
from jobctl.task.world import CREDENTIAL
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator


Key = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What became of a file: a plan, or problems in the order of the files. One of them is empty."""

    plan: FilePlan | None
    problems: tuple[Problem, ...]


def load(path: Path) -> Loaded:
    """Read and judge a configuration. Raises nothing for whatever stands in it."""
    loading = _Loading(read_files(path))
    loading.take_tables()
    loading.check()
    problems = loading.sorted_problems()
    return Loaded(plan=None if problems else loading.plan(), problems=problems)


def load_or_raise(path: Path) -> FilePlan:
    """Give the plan of a file. Raises `ConfigError` with every problem."""
    loaded = load(path)
    if loaded.plan is None:
        raise ConfigError(loaded.problems)
    return loaded.plan


class _Loading:
    """One load: collects parts and problems file by file, table by table."""

    def __init__(self, files: Files) -> None:
        self.files = files.files
        self.problems = [*files.problems]
        self.first: dict[Key, TomlFile] = {}
        # What is known of tables with faults: enough to judge what refers to them and what they refer to.
        self.seen: dict[str, Source] = {}
        self.loose: list[ScheduleSpec] = []
        self.whole = not files.problems and not any(() in file.damaged for file in files.files)
        self.settings = DaemonSettings()
        self.metrics = MetricsSettings()
        self.groups: list[WorkerGroup] = []
        self.queues: list[Queue] = []
        self.tasks: list[Task] = []
        self.overrides: list[Override] = []
        self.schedules: list[ScheduleSpec] = []
        self.routes: list[Route] = []

    def take_tables(self) -> None:
        for file in self.files:
            self.problems.extend(file.problems)
            for name, value in file.table.items():
                table = TABLES.get(name)
                if table is None:
                    self.tell(file, _unknown_table(name))
                elif not isinstance(value, dict):
                    hint = f"Write [{name}.NAME]." if table.named else f"Write [{name}]."
                    message = f"{shown(value)} is not a table"
                    self.tell(file, Fault(path=(name,), message=message, hint=hint))
                elif table.named:
                    self.take_named(file, table, value)
                else:
                    self.take(file, table, (name,), value)

    def take_named(self, file: TomlFile, table: Table, written: dict[str, Any]) -> None:
        for name, value in written.items():
            path = (table.name, name)
            if not isinstance(value, dict):
                message = f"{shown(value)} is not a table"
                hint = f"Write [{dotted(path)}]."
                if name in table.keys:
                    hint = f"A {table.noun} has a name: write [{table.name}.NAME] above its keys."
                self.tell(file, Fault(path=path, message=message, hint=hint, on_key=True))
                continue
            try:
                NAME.read(name)
            except InvalidValue as invalid:
                self.tell(file, *(fault.under(*path) for fault in invalid.faults))
            self.take(file, table, path, value)

    def take(self, file: TomlFile, table: Table, path: Key, written: dict[str, Any]) -> None:
        first = self.first.setdefault(path, file)
        if first is not file:
            message = f"defined twice, here and at {first.path}:{_line(first, path)}"
            hint = "A table stands in one file; move the keys together."
            self.tell(file, Fault(path=path, message=message, hint=hint))
            return
        damaged = any(lost[: len(path)] == path for lost in file.damaged)
        values, faults = read_table(table.name, written, damaged=damaged)
        faults = (*faults, *_user_faults(values), *_group_faults(values))
        if table.name == "notify":
            # Both at once: what is missing here hides nothing that is wrong in itself.
            faults = (*faults, *_host_faults(values), *faults_of_values(values))
        self.tell(file, *(fault.under(*path) for fault in faults))
        place = file.places.of(path, on_key=True)
        source = Source(
            file=file.path,
            line=place.line if place else 0,
            column=place.column if place else 0,
        )
        if faults or damaged:
            # Its queues and its imports may be among what could not be read.
            is_telling = table.name in ("workers", "notify") or (
                table.name == "daemon" and (damaged or "imports" in written)
            )
            self.whole = self.whole and not is_telling
            self.take_loosely(table, str(path[-1]), values, source)
            return
        try:
            self.build(table, str(path[-1]), values, source)
        except InvalidValue as invalid:
            self.tell(file, *(fault.under(*path) for fault in invalid.faults))
            self.take_loosely(table, str(path[-1]), values, source)

    def take_loosely(self, table: Table, name: str, values: dict[str, Any], source: Source) -> None:
        """Keep of a table with faults what the other checks need; the problems end the load anyway."""
        if table.name == "daemon":
            self.settings = DaemonSettings(source=source, **values)
        elif table.name == "tasks":
            self.seen.update(dict.fromkeys((name, *values.get("aliases", ())), source))
        if table.name in ("tasks", "schedules"):
            for key, kind in KINDS.items():
                if key in values:
                    spec = ScheduleSpec(
                        name=name,
                        kind=kind,
                        expression=values[key],
                        task=values.get("task", name),
                        timezone=values.get("timezone"),
                        dialect=values.get("dialect", "cronie"),
                        source=source,
                    )
                    self.loose.append(spec)

    def build(self, table: Table, name: str, values: dict[str, Any], source: Source) -> None:
        match table.name:
            case "daemon":
                self.settings = DaemonSettings(source=source, **values)
            case "metrics":
                self.metrics = MetricsSettings(source=source, **values)
            case "workers":
                self.groups.append(WorkerGroup(name=name, source=source, **values))
            case "queues":
                self.queues.append(Queue(name=name, source=source, **values))
            case "schedules":
                self.schedules.append(build_schedule(name, values, source=source))
            case "notify":
                self.routes.append(build_route(name, values, source=source))
            case "tasks":
                declared = build_task_table(name, values, source=source)
                if declared.task is not None:
                    self.tasks.append(declared.task)
                if declared.override is not None:
                    self.overrides.append(declared.override)
                if declared.schedule is not None:
                    self.schedules.append(declared.schedule)
            case _:
                raise AssertionError(table.name)

    def plan(self) -> FilePlan:
        return FilePlan(
            files=tuple(file.path for file in self.files),
            settings=self.settings,
            metrics=self.metrics,
            groups=tuple(self.groups),
            queues=tuple(self.queues),
            tasks=tuple(self.tasks),
            overrides=tuple(self.overrides),
            schedules=tuple(self.schedules),
            routes=tuple(self.routes),
        )

    def check(self) -> None:
        plan = self.plan()
        plan = dataclasses.replace(plan, schedules=(*plan.schedules, *self.loose))
        for fault in check_file(plan, seen=self.seen, whole=self.whole):
            file = self.first.get(fault.path[:2]) or self.first[fault.path[:1]]
            self.problems.append(self.problem(file, fault))

    def tell(self, file: TomlFile, *faults: Fault) -> None:
        self.problems.extend(self.problem(file, fault) for fault in faults)

    def problem(self, file: TomlFile, fault: Fault) -> Problem:
        place = file.places.of(fault.path, on_key=fault.on_key)
        about = subject(fault.path)
        return Problem(
            file=file.path,
            line=place.line if place else 0,
            column=place.column if place else 0,
            key=dotted(fault.path),
            message=f"{about}: {fault.message}" if about else fault.message,
            hint=fault.hint,
            source=file.places.line_text(place.line) if place else "",
        )

    def sorted_problems(self) -> tuple[Problem, ...]:
        order = {file.path: position for position, file in enumerate(self.files)}
        ranked = sorted(
            self.problems, key=lambda found: (order.get(found.file, -1), found.line, found.column)
        )
        return tuple(dict.fromkeys(ranked))


def _line(file: TomlFile, path: Key) -> int:
    place = file.places.of(path, on_key=True)
    return place.line if place else 0


def _unknown_table(name: str) -> Fault:
    if name in LATER_TABLES:
        message = f"[{name}] is not available yet"
        return Fault(path=(name,), message=message, hint="Remove it.", on_key=True)
    near = nearest(name, tuple(TABLES))
    known = ", ".join(
        f"[{table.name}{'.NAME' if table.named else ''}]" for table in TABLES.values()
    )
    hint = f'Did you mean "{near}"?' if near else f"Known tables: {known}."
    return Fault(path=(name,), message=f"unknown table {shown(name)}", hint=hint, on_key=True)


def _user_faults(values: dict[str, Any]) -> Iterator[Fault]:
    user = values.get("user")
    if user is None or user.isdecimal():
        return
    try:
        pwd.getpwnam(user)
    except KeyError:
        near = nearest(user, [entry.pw_name for entry in pwd.getpwall()])
        hint = f'Did you mean "{near}"?' if near else "Create the user first, or name another."
        yield Fault(path=("user",), message=f"there is no user {shown(user)} here", hint=hint)


def _group_faults(values: dict[str, Any]) -> Iterator[Fault]:
    group = values.get("group")
    if group is None or group.isdecimal():
        return
    try:
        grp.getgrnam(group)
    except KeyError:
        near = nearest(group, [entry.gr_name for entry in grp.getgrall()])
        hint = f'Did you mean "{near}"?' if near else "Create the group first, or name another."
        yield Fault(path=("group",), message=f"there is no group {shown(group)} here", hint=hint)


def _host_faults(values: dict[str, Any]) -> Iterator[Fault]:
    """Files and programs of a route that are not there. A route that is switched off needs none."""
    if not values.get("enabled", True):
        return
    is_mail = values.get("kind") == "mail"
    files = ("password_file", "secret_file", "url_file", "ca_file")
    for name in files:
        path = values.get(name)
        if path is not None and not path.startswith(CREDENTIAL) and not Path(path).is_file():
            hint = "Make the file, readable for the daemon's user only."
            yield Fault(path=(name,), message=f"there is no file {shown(path)}", hint=hint)
    program = None
    if is_mail and values.get("smtp") is None:
        program = ("sendmail", values.get("sendmail", ROUTE_KEYS["sendmail"].default))
    elif values.get("command") and values["command"][0].startswith("/"):
        program = ("command", values["command"][0])
    if program is not None and not os.access(program[1], os.X_OK):
        hint = (
            'Install a mail server or msmtp-mta, or write smtp = "mail.example.org:587".'
            if is_mail
            else "Install it, or write its right path."
        )
        message = f"there is no program {shown(program[1])}"
        yield Fault(path=(program[0],), message=message, hint=hint)


def _answer(loaded: Loaded) -> Iterator[str]:
    """The lines of the answer as JSON."""
    if loaded.plan is None:
        errors = [problem_to_json(problem) for problem in loaded.problems]
        yield json.dumps({"ok": False, "errors": errors}) + "\n"
        return
    plan = loaded.plan
    many = {name: getattr(plan, name) for name in MANY}
    without: dict[str, Any] = dict.fromkeys(MANY, ())
    head = dataclasses.replace(plan, **without).to_json()
    counts = {name: len(items) for name, items in many.items()}
    yield json.dumps({"ok": True, "plan": head, **counts}) + "\n"
    for items in many.values():
        for item in items:
            yield json.dumps(one_to_json(item)) + "\n"


def main(arguments: list[str]) -> int:
    """Run the child; gives its exit code."""
    words = [word for word in arguments if word != "--json"]
    if len(words) != 1:
        sys.stderr.write("usage: python -m jobctl.config.load FILE [--json]\n")
        return 2
    # Nothing that is read here becomes garbage; looking for some took a fifth of the time.
    gc.disable()
    loaded = load(Path(words[0]))
    if "--json" in arguments:
        sys.stdout.writelines(_answer(loaded))
    elif loaded.plan is not None:
        sys.stdout.write(f"{words[0]} is correct\n")
    else:
        sys.stdout.write(problems_text(loaded.problems))
    return 0 if loaded.plan is not None else ConfigError.exit_code


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The daemon that asked was killed meanwhile; its log is no place for our traceback. At its end
        # the interpreter would flush again and complain: what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.stderr.flush()
    # Not `sys.exit`: taking a large plan apart piece by piece is no use to anybody.
    os._exit(code)
