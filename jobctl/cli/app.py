"""All commands put together, for every line that is not one of the plain hot ones.

The bodies of the commands import what they need when they run; this module and what it imports only
describe them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer.exceptions import TyperException

from jobctl import __version__
from jobctl.cli import (
    audit,
    completion,
    config,
    daemon,
    db,
    doctor,
    explain,
    exports,
    health,
    imports,
    inspect,
    jobs,
    metrics,
    notify,
    pausing,
    queues,
    schedule_changes,
    schedules,
    service,
    submit,
    takeover,
    why,
    workers,
)
from jobctl.cli.render import process_screen
from jobctl.cli.session import process_session
from jobctl.errors import JobctlError, UsageError


class Color(StrEnum):
    """Whether colours are used."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


app = typer.Typer(
    name="jobctl",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    help="Run the jobs of a server: scheduled and queued, commands and Python functions.",
    epilog="Exit codes: 0, 1 failed, 2 usage, 3 no daemon, 4 no such thing, 69 unreachable, 75 try "
    "again, 77 not allowed, 78 configuration.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        process_screen("never", {}).line(f"jobctl {__version__}")
        raise typer.Exit


@app.callback()
def make_session(
    ctx: typer.Context,
    socket: Annotated[
        str | None,
        typer.Option(
            "--socket", metavar="PATH", help="The daemon's socket; else the configured one."
        ),
    ] = None,
    config_file: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="The daemon's configuration.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Answer with one JSON document; also after the command.")
    ] = False,
    color: Annotated[
        Color, typer.Option("--color", help="Colours on a terminal: if it can, always, or never.")
    ] = Color.AUTO,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take the options that stand before the command."""
    ctx.obj = process_session(socket=socket, config=config_file, as_json=as_json, color=color.value)


# The order of the manual: what is used most comes first.
app.command("submit", cls=submit.SubmitCommand)(submit.submit)
app.command("status")(jobs.status)
app.command("list")(jobs.list_jobs)
app.command("logs")(jobs.logs)
app.command("wait")(jobs.wait)
app.command("result")(jobs.result)
app.command("cancel")(jobs.cancel)
app.command("pause")(pausing.pause)
app.command("resume")(pausing.resume)
app.command("retry")(jobs.retry)
app.command("next")(schedules.next_fires)
app.command("history")(schedules.history)
app.command("why")(why.why)
schedules.app.command("show")(schedule_changes.show)
schedules.app.command("add")(schedule_changes.add)
schedules.app.command("edit")(schedule_changes.edit)
schedules.app.command("remove")(schedule_changes.remove)
schedules.app.command("disable")(schedule_changes.disable)
schedules.app.command("enable")(schedule_changes.enable)
schedules.app.command("run")(schedule_changes.run)
app.add_typer(schedules.app, name="schedule")
app.add_typer(queues.app, name="queue")
app.add_typer(workers.app, name="worker")
app.add_typer(notify.app, name="notify")
app.add_typer(inspect.app, name="inspect")
app.command("metrics")(metrics.metrics)
app.command("explain")(explain.explain)
app.command("audit")(audit.audit)
app.command("check")(config.check)
app.command("doctor")(doctor.doctor)
app.add_typer(imports.app, name="import")
app.add_typer(exports.app, name="export")
app.add_typer(takeover.app, name="takeover")
app.add_typer(db.app, name="db")
app.command("daemon")(daemon.daemon)
app.command("completion")(completion.completion)
app.command("reload")(daemon.reload)
app.command("stop")(daemon.stop)
app.add_typer(service.app, name="service")


def run(argv: list[str]) -> int:
    """Run one line; gives back its exit code. Errors of ours, and of the line itself, are shown."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=argv, prog_name="jobctl", standalone_mode=False)
    except JobctlError as error:
        _show(argv, error)
        return error.exit_code
    except typer.Abort:
        return 130
    except TyperException as error:
        if error.format_message().startswith("Usage:"):
            # Nothing was asked: the help of the command, made by Click.
            process_screen("never", {}).usage(error.format_message())
            return UsageError.exit_code
        fault = _usage_error(error)
        _show(argv, fault)
        return health.UNKNOWN if health.is_check(argv) else fault.exit_code
    return code if isinstance(code, int) else 0


def _usage_error(error: TyperException) -> UsageError:
    """An error of the line, as one of ours."""
    message = error.format_message().strip().removesuffix(".")
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx is not None else "jobctl"
    return UsageError(message[:1].lower() + message[1:], hint=f"See: {path} --help")


def _show(argv: list[str], error: JobctlError) -> None:
    # The line may be too wrong to have made a session.
    said = argv[: argv.index("--")] if "--" in argv else argv
    process_screen("never", {}).failure(error, as_json="--json" in said)
