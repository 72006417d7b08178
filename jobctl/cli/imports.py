"""``import``: what another scheduler was told, as a configuration to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.cli import (
    import_crontab,
    options,
)
from jobctl.cli.session import session_of

if TYPE_CHECKING:
    from jobctl.importers.celery_app import Judged
    from jobctl.importers.celery_beat import BeatImport

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Write a configuration from what another scheduler was told.",
)


Place = Annotated[
    str,
    typer.Argument(
        metavar="MODULE[:ATTR]",
        help="The Celery application, or a module of settings: proj.celery:app.",
    ),
]
Interpreter = Annotated[
    str | None,
    typer.Option(
        "--python", metavar="PATH", help="The application's interpreter; else the daemon's own."
    ),
]
ModulePath = Annotated[
    list[str] | None,
    typer.Option(
        "--pythonpath",
        metavar="DIR",
        help="Where its modules lie, may be repeated; else the working directory.",
    ),
]

app.command("crontab")(import_crontab.crontab)


@app.command("celery-beat")
def celery_beat(
    ctx: typer.Context,
    place: Place,
    python: Interpreter = None,
    pythonpath: ModulePath = None,
    as_json: options.Json = False,
) -> int:
    """Write the beat schedule of a Celery application as TOML.

    The tables go to standard output, what is to be known of them to standard error. Nothing is changed.
    """
    import sys
    from pathlib import Path

    from jobctl.importers.celery_beat import convert
    from jobctl.importers.reading import read_celery

    session = session_of(ctx, as_json=as_json)
    folders = [str(Path(folder).absolute()) for folder in pythonpath or ["."]]
    found = convert(read_celery("beat", place, python=python or sys.executable, folders=folders))
    if session.as_json:
        session.screen.json(_shape(found))
        return 0
    session.screen.block(found.text())
    for entry in found.entries:
        session.screen.note(f"{entry.entry}: {entry.verdict}")
        for note in entry.notes:
            session.screen.note(f"  {note}")
    return 0


@app.command("celery")
def celery(
    ctx: typer.Context,
    place: Place,
    python: Interpreter = None,
    pythonpath: ModulePath = None,
    as_json: options.Json = False,
) -> int:
    """Tell what of a Celery application's configuration carries over.

    A file to begin with goes to standard output, a verdict for each setting and each task that is not the same
    to standard error. Nothing is changed.
    """
    import sys
    from pathlib import Path

    from jobctl.importers.celery_app import convert_app
    from jobctl.importers.celery_beat import Verdict
    from jobctl.importers.reading import read_celery

    session = session_of(ctx, as_json=as_json)
    folders = [str(Path(folder).absolute()) for folder in pythonpath or ["."]]
    found = convert_app(read_celery("app", place, python=python or sys.executable, folders=folders))
    if session.as_json:
        session.screen.json(
            {
                "toml": found.toml,
                "settings": [_judged(setting) for setting in found.settings],
                "tasks": [_judged(task) for task in found.tasks],
            }
        )
        return 0
    session.screen.block(found.toml)
    for what, judged in (("setting", found.settings), ("task", found.tasks)):
        same = [each for each in judged if each.verdict is Verdict.CLEAN and not each.notes]
        for each in judged:
            if each in same:
                continue
            session.screen.note(f"{what} {each.name}: {each.verdict}")
            for note in each.notes:
                session.screen.note(f"  {note}")
        session.screen.note(f"{what}s that mean the same: {len(same)} of {len(judged)}")
    return 0


def _judged(each: Judged) -> dict[str, object]:
    return {"name": each.name, "verdict": each.verdict.value, "notes": list(each.notes)}


def _shape(found: BeatImport) -> dict[str, object]:
    return {
        "toml": found.text(),
        "entries": [
            {
                "entry": entry.entry,
                "schedule": entry.name if entry.table is not None else None,
                "task": entry.task,
                "verdict": entry.verdict.value,
                "notes": list(entry.notes),
            }
            for entry in found.entries
        ],
    }
