"""Taking lines of crontabs over from cron, and giving them back.

Two things must not happen: that both run a line, and that neither does. A cron looks at its tables once a
minute, just before it starts what is due, so all is done within one minute, in an order in which jobctl comes
last: the tables are read, judged, and checked as a configuration; what was there is kept on disk; the lines
are commented out; and only then the drop-in takes its place and the daemon reads it. Until then its schedules
are held by not being there. If the daemon refuses, everything is put back as it was.

Giving back goes the other way round. A takeover that was cut short is told as such, and undone in the same way.
"""

from __future__ import annotations

import contextlib
import shutil
import stat
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobctl.config import load_in_child
from jobctl.config.files import DROP_IN_FOLDER
from jobctl.errors import ConfigError, JobctlError
from jobctl.importers.crontab import record as records
from jobctl.importers.crontab.hosts import PATIENCE_S, current_user, table_of_user
from jobctl.importers.crontab.judging import Import
from jobctl.importers.crontab.marking import marked, unmarked
from jobctl.importers.crontab.record import Record, TakenTable, replace_file
from jobctl.importers.crontab.remarks import Verdict
from jobctl.importers.crontab.text import text_of
from jobctl.importers.reading import CannotImport
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobctl.importers.crontab.judging import Judged, Source

_HEAD: Final = """\
# Taken over from cron by jobctl takeover crontab; the lines are commented out there.
# jobctl takeover crontab --undo gives them back and removes this file.

"""


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What a takeover would do. ``taken`` are the lines that go, ``text`` the drop-in at ``file``."""

    name: str
    config: Path
    sources: tuple[Source, ...]
    taken: tuple[Judged, ...]
    text: str

    @property
    def file(self) -> Path:
        """The drop-in that is written."""
        return self.config.parent / DROP_IN_FOLDER / f"50-crontab-{self.name}.toml"

    @property
    def schedules(self) -> tuple[str, ...]:
        """The names of the schedules that it makes."""
        paths = (path for line in self.taken for path, _ in line.tables)
        return tuple(name for kind, name in paths if kind == "tasks")

    def lines_of(self, source: Source) -> tuple[int, ...]:
        """The numbers of the lines that go from a table."""
        return tuple(line.line.number for line in self.taken if line.file == source.path)


def intent_of(name: str, config: Path, sources: Sequence[Source], found: Import) -> Intent:
    """What is to be done about judged tables: clean lines go and those with a note, others stay with cron.

    Raises CannotImport: there is nothing to take, or it was taken already.
    """
    before = records.read(config, name)
    if before is not None:
        paths = ", ".join(table.path for table in before.tables)
        state = (
            "have been taken over"
            if before.is_done
            else "were being taken over, and that was cut short"
        )
        raise CannotImport(
            f"{paths} {state}", hint="Give them back first: jobctl takeover crontab --undo"
        )
    taken = tuple(
        line
        for line in found.lines
        if line.kind == "entry" and line.tables and line.verdict in (Verdict.CLEAN, Verdict.NOTE)
    )
    if not taken:
        raise CannotImport(
            "there is no line to take over", hint="See: jobctl import crontab --dry-run"
        )
    text = _HEAD + text_of(Import(lines=taken))
    return Intent(name=name, config=config, sources=tuple(sources), taken=taken, text=text)


def check(intent: Intent) -> None:
    """Judge the configuration as it would be. Raises ConfigError; nothing was changed."""
    with tempfile.TemporaryDirectory(prefix="jobctl-takeover-") as folder:
        copy = Path(folder) / intent.config.name
        drop_ins = Path(folder) / DROP_IN_FOLDER
        drop_ins.mkdir()
        try:
            shutil.copyfile(intent.config, copy)
            for file in (intent.config.parent / DROP_IN_FOLDER).glob("*.toml"):
                shutil.copyfile(file, drop_ins / file.name)
        except OSError as error:
            raise CannotImport(
                f"{error.filename} cannot be read: {error.strerror}",
                hint="Takeover writes beside the configuration of the daemon: name it with --config.",
            ) from None
        (drop_ins / intent.file.name).write_text(intent.text, encoding="utf-8")
        try:
            load_in_child(copy)
        except ConfigError as error:
            here = str(intent.config.parent)
            raise ConfigError(
                tuple(
                    replace(problem, file=problem.file.replace(folder, here, 1))
                    for problem in error.problems
                )
            ) from None


def take(intent: Intent, reload: Callable[[], None]) -> None:
    """Take the lines over. ``reload`` lets the daemon read its configuration, and raises what it refuses.

    Raises whatever goes wrong; everything is then as it was before, or the record says what is not.
    """
    config = intent.config
    tables = tuple(
        TakenTable(
            path=source.path,
            user=source.owner,
            original=source.data,
            lines=intent.lines_of(source),
        )
        for source in intent.sources
        if intent.lines_of(source)
    )
    record = Record(
        name=intent.name, file=str(intent.file), schedules=intent.schedules, tables=tables
    )
    try:
        records.write(config, record)
        intent.file.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise _cannot_write(error) from None
    try:
        for table in tables:
            _refuse_changed(table)
            write_table(table, marked(table.original, table.lines))
        try:
            replace_file(intent.file, intent.text.encode(), mode=0o600)
        except OSError as error:
            raise _cannot_write(error) from None
        reload()
    except BaseException:
        _put_back(config, record, reload)
        raise
    records.write(config, replace(record, is_done=True))


def _refuse_changed(table: TakenTable) -> None:
    if read_table(table) != table.original:
        raise CannotImport(
            f"{table.path} was changed meanwhile", hint="Nothing was taken over; try again."
        )


def _put_back(config: Path, record: Record, reload: Callable[[], None]) -> None:
    file = Path(record.file)
    if file.exists():
        file.unlink()
        # Perhaps the daemon has read it, and only its answer was lost.
        with contextlib.suppress(JobctlError):
            reload()
    for table in record.tables:
        _give_back(table)
    records.remove(config, record.name)


def undo(config: Path, record: Record, reload: Callable[[], None]) -> list[str]:
    """Give the lines back; tells what was found different, a sentence each.

    Raises what ``reload`` raises: then the lines are still with jobctl.
    """
    file = Path(record.file)
    try:
        text = file.read_bytes() if file.exists() else None
        file.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(error) from None
    try:
        reload()
    except BaseException:
        if text is not None:
            replace_file(file, text, mode=0o600)
        raise
    told = [said for table in record.tables if (said := _give_back(table))]
    records.remove(config, record.name)
    return told


def _give_back(table: TakenTable) -> str:
    """Give a table's lines back; a sentence when it was not as it had been left."""
    now = read_table(table)
    if now == table.original:
        return ""
    if now == marked(table.original, table.lines):
        write_table(table, table.original)
        return ""
    back, count = unmarked(now)
    if count:
        write_table(table, back)
    missing = len(table.lines) - count
    said = f"{table.path} was edited meanwhile; the edits were kept"
    return f"{said}, and {missing} of the lines are not there any more" if missing > 0 else said


def running_twice(record: Record) -> list[str]:
    """The taken lines that stand in their tables again, ``table: line``: cron runs them, too."""
    found = []
    for table in record.tables:
        originals = table.original.split(b"\n")
        now = set(read_table(table).split(b"\n"))
        for number in table.lines:
            line = originals[number - 1]
            if line in now:
                found.append(f"{table.path}: {line.decode(errors='backslashreplace').strip()}")
    return found


# -- tables ---------------------------------------------------------------------------------------


def read_table(table: TakenTable) -> bytes:
    """A table as it is now. Raises CannotImport."""
    if table.user is not None:
        return table_of_user(table.user).data
    try:
        return Path(table.path).read_bytes()
    except OSError as error:
        raise CannotImport(
            f"{table.path} cannot be read: {error.strerror}", hint="Was it removed?"
        ) from None


def write_table(table: TakenTable, data: bytes) -> None:
    """Put a table in place, in one step: a user's own through crontab(1). Raises CannotImport."""
    if table.user is not None:
        _install(table.user, data)
        return
    # A link is followed, so that it stays one.
    path = Path(table.path).resolve()
    try:
        status = path.stat()
        replace_file(
            path, data, mode=stat.S_IMODE(status.st_mode), owner=(status.st_uid, status.st_gid)
        )
    except OSError as error:
        raise _cannot_write(error) from None


def _install(user: str, data: bytes) -> None:
    words = ["crontab", *(["-u", user] if user != current_user() else []), "-"]
    try:
        done = subprocess.run(
            words, input=data, capture_output=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotImport(f"crontab(1) cannot be run: {error}", hint="Is it there?") from None
    if done.returncode != 0 or table_of_user(user).data != data:
        why = done.stderr.decode(errors="replace").strip() or "it kept another table"
        raise CannotImport(
            f'crontab(1) did not take the table of user "{user}": {why}',
            hint="It refuses tables with lines that it cannot read: remove those first.",
        )


def _cannot_write(error: OSError) -> CannotImport:
    return CannotImport(
        f"{error.filename} cannot be written: {error.strerror}",
        hint="Taking over the tables of the system, or of other users, is for root.",
    )
