"""``takeover crontab``: jobctl runs the lines of crontabs from now on, and cron does not; and back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.cli import options  # noqa: TC001 -- Typer reads the annotations
from jobctl.cli.import_crontab import report, sources_of
from jobctl.cli.session import session_of
from jobctl.clock import SECOND
from jobctl.errors import DaemonNotRunning, JobctlError, UsageError
from jobctl.importers.crontab.kinds import Dialect, Form  # noqa: TC001 -- as above

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jobctl.cli.session import Session
    from jobctl.clock import Moment
    from jobctl.importers.crontab.record import Record
    from jobctl.importers.crontab.takeover import Intent

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Run what another scheduler runs, in its place.",
)

MINUTE_S = 60
NEEDED_S = 15
"""So much of a minute has to be left, at whose end a cron looks at its tables again."""


class NotInForce(JobctlError):
    """The daemon read its configuration, and the schedules are not in it."""

    code = "not_in_force"


# With a callback, so that "takeover" stays a group while it has one command.
@app.callback()
def takeover() -> None:
    """Run what another scheduler runs, in its place."""


@app.command("crontab")
def crontab(
    ctx: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Crontabs of cron; else your own table.", show_default=False
        ),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="The table of this user.")
    ] = None,
    is_system: Annotated[
        bool,
        typer.Option("--system", help="/etc/crontab, the files of /etc/cron.d, /etc/anacrontab."),
    ] = False,
    dialect: Annotated[
        Dialect | None,
        typer.Option(
            "--dialect", help="Whose cron reads it; else that of this system.", show_default=False
        ),
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option(
            "--form", help="How the lines of the FILEs are built; else told.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell which lines would go, and where.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Give the lines back to cron, as they were.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Tell which lines cron runs, too; then the code is 1.")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Run the lines of crontabs from now on, in the place of cron.

    Lines that are clean or have a note (see import crontab) are commented out there with a mark, and the
    running daemon gets them in a file of conf.d; the others stay with cron. What was there is kept. If
    anything goes wrong, all is put back.
    """
    from jobctl.importers.crontab import record as records

    session = session_of(ctx, as_json=as_json)
    if sum((bool(files), user is not None, is_system)) > 1:
        raise UsageError(
            "FILE, --user and --system name different tables", hint="Give one of the three."
        )
    if sum((dry_run, undo, check)) > 1:
        raise UsageError("--dry-run, --undo and --check exclude each other", hint="Give one.")
    name = records.name_of(user=user, is_system=is_system, files=files or [])
    if check:
        return _check(session, _record(session.config_path(), name))
    with contextlib.nullcontext() if dry_run else records.alone(session.config_path().absolute()):
        if undo:
            return _undo(session, _record(session.config_path(), name))
        return _take(session, name, files or [], user, is_system, dialect, form, dry_run=dry_run)


# -- taking ---------------------------------------------------------------------------------------


def _take(
    session: Session,
    name: str,
    files: Sequence[str],
    user: str | None,
    is_system: bool,
    dialect: Dialect | None,
    form: Form | None,
    *,
    dry_run: bool,
) -> int:
    from dataclasses import replace
    from pathlib import Path

    from jobctl.config import load_in_child
    from jobctl.importers.crontab import takeover
    from jobctl.importers.crontab.hosts import dialect_of_host, host_facts
    from jobctl.importers.crontab.judging import Import, judge
    from jobctl.importers.crontab.programs import program_of

    if "-" in files:
        raise UsageError("standard input is no table of cron", hint="Name a file.")
    said = dialect or dialect_of_host()
    sources, about = sources_of(
        [str(Path(file).absolute()) for file in files], user, is_system, form, said
    )
    config = session.config_path().absolute()
    plan = load_in_child(config)
    judged = judge(
        sources,
        program_of(said),
        host=host_facts(),
        taken=[*(task.name for task in plan.tasks), *(each.name for each in plan.schedules)],
        taken_routes=[route.name for route in plan.routes],
    )
    found = replace(judged, about_files=(*about, *judged.about_files))
    intent = takeover.intent_of(name, config, sources, found)
    takeover.check(intent)
    left = Import(
        lines=tuple(
            line for line in found.lines if line.kind != "variable" and line not in intent.taken
        )
    )
    if not dry_run:
        # Who has no daemon would have nobody that runs the lines.
        _ping(session)
        _wait_for_time(session)
        takeover.take(intent, lambda: _reload(session, intent.schedules))
    if session.as_json:
        session.screen.json(_shape(intent, is_done=not dry_run))
        return 0
    for line in intent.taken:
        session.screen.line(
            f"{line.file}:{line.line.number}: {line.task}: {line.line.text.strip()}"
        )
    count = len(intent.taken)
    lines = f"{count} line" if count == 1 else f"{count} lines"
    if dry_run:
        session.screen.line(f"would comment out {lines} there and write {intent.file}")
    else:
        session.screen.line(f"commented out {lines} there; {intent.file} is in force")
    if left.lines:
        session.screen.note("these lines stay with cron:")
        for text in report(left, with_clean=False, with_summary=False):
            session.screen.note(text)
    return 0


def _ping(session: Session) -> None:
    from jobctl.protocol.requests import Inspect

    try:
        session.call(Inspect(what="ping"))
    except DaemonNotRunning as error:
        raise DaemonNotRunning(
            error.message, hint="Start the daemon first: it is to run the lines that cron gives up."
        ) from None


def _wait_for_time(session: Session) -> None:
    """Not in the last seconds of a minute: a cron would start what it has read, and not see the change."""
    import time

    from jobctl.importers.crontab.hosts import is_cron_alive

    if not is_cron_alive():
        return
    pause_s = pause_before_change(session.clock.now())
    if pause_s:
        time.sleep(pause_s)  # noqa: TID251 -- a command that waits has nothing else to do


def pause_before_change(now: Moment) -> float:
    """How long to wait, in seconds, so that all is done well before a cron's next look at its tables."""
    passed_s = now / SECOND % MINUTE_S
    return 0.0 if passed_s <= MINUTE_S - NEEDED_S else MINUTE_S - passed_s + 1


def _reload(session: Session, schedules: Sequence[str]) -> None:
    """Let the daemon read its configuration; those schedules have to be in force then."""
    from jobctl.protocol.requests import Reload, Schedules

    session.call(Reload(), timeout_s=None)
    known = {schedule["name"] for schedule in session.call(Schedules())["schedules"]}
    missing = [name for name in schedules if name not in known]
    if missing:
        raise NotInForce(
            f'the daemon does not know schedule "{missing[0]}" after it has read its configuration',
            hint="Does it read another one? Name that with --config.",
        )


# -- and back -------------------------------------------------------------------------------------


def _record(config: Path, name: str) -> Record:
    from jobctl.errors import NotFound
    from jobctl.importers.crontab import record as records

    config = config.absolute()
    found = records.read(config, name)
    known = records.names_of(config)
    if found is None and name == "user" and len(known) == 1:
        # Nothing was said, and there is only one.
        found = records.read(config, known[0])
    if found is None:
        told = f"Taken over are: {', '.join(known)}." if known else "Nothing was."
        raise NotFound("these tables have not been taken over", hint=told)
    return found


def _undo(session: Session, record: Record) -> int:
    from jobctl.importers.crontab import takeover

    def reload() -> None:
        # Who does not run has nothing to give up.
        with contextlib.suppress(DaemonNotRunning):
            _reload(session, ())

    _wait_for_time(session)
    told = takeover.undo(session.config_path().absolute(), record, reload)
    tables = [table.path for table in record.tables]
    if session.as_json:
        session.screen.json({"file": record.file, "tables": tables, "edited": told})
        return 0
    for table in tables:
        session.screen.line(f"{table}: given back to cron")
    session.screen.line(f"{record.file} is removed")
    for text in told:
        session.screen.note(text)
    return 0


def _check(session: Session, record: Record) -> int:
    from jobctl.importers.crontab import takeover

    twice = takeover.running_twice(record)
    if session.as_json:
        session.screen.json({"is_done": record.is_done, "twice": twice})
    else:
        for text in twice:
            session.screen.line(f"{text}: cron runs it, too")
        if not record.is_done:
            session.screen.line("the takeover was cut short: jobctl takeover crontab --undo")
        elif not twice:
            session.screen.line("cron runs none of the lines that were taken over")
    return 1 if twice or not record.is_done else 0


def _shape(intent: Intent, *, is_done: bool) -> dict[str, object]:
    return {
        "is_done": is_done,
        "file": str(intent.file),
        "toml": intent.text,
        "lines": [
            {
                "file": line.file,
                "line": line.line.number,
                "tasks": [path[1] for path, _ in line.tables if path[0] == "tasks"],
            }
            for line in intent.taken
        ],
    }
