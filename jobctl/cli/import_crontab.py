"""``import crontab``: the lines of crontabs, each with its verdict, as a configuration to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.cli import options  # noqa: TC001 -- Typer reads the annotations
from jobctl.cli.session import session_of
from jobctl.errors import UsageError

# At run time, because Typer reads the annotations.
from jobctl.importers.crontab.kinds import Dialect, Form

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobctl.importers.crontab.judging import Import, Judged, Source
    from jobctl.importers.crontab.remarks import Remark


def crontab(
    ctx: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Crontabs to read, - for standard input; else your own table.",
            show_default=False,
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
            "--dialect",
            help="Whose cron has read it; else that of this system.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option(
            "--form",
            help="How the lines of the FILEs are built; else told by their place and their lines.",
            show_default=False,
        ),
    ] = None,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Write dead lines as they were meant, where that is beyond doubt."
        ),
    ] = False,
    split_run_parts: Annotated[
        bool,
        typer.Option("--split-run-parts", help="Make a task of each script of a run-parts folder."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what each line would come to.")
    ] = False,
    as_json: options.Json = False,
) -> int:
    """Write crontabs as TOML, with a verdict for each line.

    The tables go to standard output, what is to be known of them to standard error. Nothing is changed.
    Lines that never ran under cron are told, with what was probably meant, and not written.
    """
    from jobctl.importers.crontab.hosts import dialect_of_host, host_facts
    from jobctl.importers.crontab.judging import Import, Wishes, judge
    from jobctl.importers.crontab.programs import program_of
    from jobctl.importers.crontab.text import text_of

    session = session_of(ctx, as_json=as_json)
    if sum((bool(files), user is not None, is_system)) > 1:
        raise UsageError(
            "FILE, --user and --system name different tables", hint="Give one of the three."
        )
    said = dialect or (None if files else dialect_of_host())
    sources, about = sources_of(files or [], user, is_system, form, said)
    judged = judge(
        sources,
        program_of(said),
        host=host_facts(),
        wishes=Wishes(fix=fix, split_run_parts=split_run_parts),
    )
    found = Import(lines=judged.lines, about_files=(*about, *judged.about_files))
    if session.as_json:
        session.screen.json(_shape(found, "" if dry_run else text_of(found)))
        return 0
    if dry_run:
        for line in report(found, with_clean=True):
            session.screen.line(line)
        return 0
    session.screen.block(text_of(found))
    for line in report(found, with_clean=False):
        session.screen.note(line)
    return 0


def sources_of(
    files: Sequence[str], user: str | None, is_system: bool, form: Form | None, said: Dialect | None
) -> tuple[tuple[Source, ...], tuple[tuple[str, Remark], ...]]:
    """The tables that a line of ours names, and what is to be said of files that no cron reads."""
    from dataclasses import replace
    from pathlib import Path

    from jobctl.importers.crontab import hosts

    if is_system:
        system = hosts.tables_of_system(said)
        return system.sources, system.about_files
    if not files:
        return (hosts.table_of_user(user),), ()
    return tuple(
        replace(hosts.table_of_input(), form=form or Form.USER)
        if name == "-"
        else hosts.table_in_file(Path(name), form)
        for name in files
    ), ()


def report(found: Import, *, with_clean: bool, with_summary: bool = True) -> Iterator[str]:
    """What is to be known, line by line; at the end how many entries came to what."""
    for file, remark in found.about_files:
        yield f"{file}: {remark.text}"
    for line in found.lines:
        if line.verdict == "clean" and not with_clean:
            continue
        name = f"{line.task}: " if line.task is not None else ""
        yield f"{line.file}:{line.line.number}: {line.verdict}: {name}{line.line.text.strip()}"
        for remark in line.remarks:
            yield f"  {remark.text}"
            if remark.offer:
                yield f"    instead: {remark.offer}"
    if with_summary:
        yield _summary(found)


def _summary(found: Import) -> str:
    from jobctl.importers.crontab.remarks import Verdict

    counts = {verdict: found.count(verdict) for verdict in Verdict}
    total = sum(counts.values())
    words = {
        Verdict.CLEAN: "clean",
        Verdict.NOTE: "with a note",
        Verdict.DECISION: "to be decided",
        Verdict.DEAD: "dead under cron too",
    }
    told = ", ".join(f"{counts[verdict]} {word}" for verdict, word in words.items())
    return f"{total} {'entry' if total == 1 else 'entries'}: {told}"


def _shape(found: Import, toml: str) -> dict[str, object]:
    from jobctl.importers.crontab.remarks import Verdict

    return {
        "toml": toml,
        "lines": [_line_shape(line) for line in found.lines],
        "files": [
            {"file": file, "text": remark.text, "offer": remark.offer or None}
            for file, remark in found.about_files
        ],
        "entries": {verdict.value: found.count(verdict) for verdict in Verdict},
    }


def _line_shape(line: Judged) -> dict[str, object]:
    return {
        "file": line.file,
        "line": line.line.number,
        "text": line.line.text.encode("utf-8", errors="backslashreplace").decode(),
        "kind": line.kind,
        "verdict": line.verdict.value,
        "tasks": [path[1] for path, _ in line.tables if path[0] == "tasks"],
        "remarks": [
            {
                "weight": remark.weight.name.lower(),
                "text": remark.text,
                "offer": remark.offer or None,
            }
            for remark in line.remarks
        ],
    }
