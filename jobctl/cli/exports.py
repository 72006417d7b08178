"""``export``: the schedules of a configuration as another scheduler has them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.cli import options  # noqa: TC001 -- Typer reads the annotations
from jobctl.cli.session import session_of
from jobctl.errors import JobctlError

if TYPE_CHECKING:
    from jobctl.cli.session import Session
    from jobctl.exporters.systemd import Units
    from jobctl.exporters.work import Unable, Work

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Write the schedules of the configuration for another scheduler.",
)


class CannotWrite(JobctlError):
    """The units could not be written where one said."""

    code = "cannot_write"


@app.command("crontab")
def crontab(
    ctx: typer.Context,
    has_users: Annotated[
        bool,
        typer.Option(
            "--system", help="With a column of users, for /etc/cron.d; else for a user's own table."
        ),
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Write the schedules of the configuration as a crontab.

    Comments say what cron cannot. Schedules that the code or a command has added are not in the file, and
    not here. Nothing is changed, and no daemon is needed.
    """
    from jobctl.cli.explain import host_zone
    from jobctl.exporters.crontab import crontab_of

    session = session_of(ctx, as_json=as_json)
    zone = host_zone()
    text = crontab_of(_works(session, zone), host_timezone=zone, has_users=has_users)
    if session.as_json:
        session.screen.json({"crontab": text})
    else:
        session.screen.block(text)
    return 0


@app.command("systemd")
def systemd(
    ctx: typer.Context,
    folder: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="DIR", help="Write the units into this folder."),
    ] = None,
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="TEXT", help="What the names of units begin with.")
    ] = "",
    as_json: options.Json = False,
) -> int:
    """Write the schedules of the configuration as services and timers of systemd.

    Without --output they are printed. What systemd cannot say goes to standard error. Schedules that the code
    or a command has added are not in the file, and not here. No daemon is needed.
    """
    from jobctl.cli.explain import host_zone
    from jobctl.exporters.systemd import units_of

    session = session_of(ctx, as_json=as_json)
    found = units_of(_works(session, host_zone()), prefix=prefix)
    if folder is not None:
        _write(Path(folder), found)
    if session.as_json:
        session.screen.json(
            {
                "units": [{"name": unit.name, "text": unit.text} for unit in found.units],
                "notes": [{"schedule": name, "text": text} for name, text in found.notes],
            }
        )
        return 0
    for unit in found.units:
        if folder is None:
            session.screen.block(f"# {unit.name}\n{unit.text}")
            session.screen.line("")
        else:
            session.screen.line(os.fspath(Path(folder) / unit.name))
    for name, text in found.notes:
        session.screen.note(f"{name}: {text}")
    return 0


def _works(session: Session, zone: str) -> list[Work | Unable]:
    from jobctl.config import load_in_child
    from jobctl.exporters.work import works_of

    return list(works_of(load_in_child(session.config_path()), host_timezone=zone))


def _write(folder: Path, found: Units) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for unit in found.units:
            (folder / unit.name).write_text(unit.text, encoding="utf-8")
    except OSError as error:
        raise CannotWrite(
            f"{error.filename} cannot be written: {error.strerror}",
            hint="Name a folder that you may write with --output.",
        ) from None
