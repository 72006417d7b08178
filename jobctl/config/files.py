"""From paths to tables: reads the files of a configuration, and goes on after faults.

A syntax error does not hide what stands behind it: the faulty statement is blanked and the rest is
read again, so that one run tells as much as there is to tell. What was blanked is remembered; nothing
is concluded from its absence.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

import tomli

from jobctl.config.places import Place, Places
from jobctl.errors import Problem
from jobctl.plan.check import dotted
from jobctl.task.units import format_size
from jobctl.values import dataclass

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_FILE_BYTES: Final = 8 << 20
MOST_SYNTAX_FAULTS: Final = 20
DROP_IN_FOLDER: Final = "conf.d"

_HEADER: Final = re.compile(r"^[ \t]*\[", re.MULTILINE)
_BEGINS_STATEMENT: Final = re.compile(r"[ \t]*(\[|[\w.\"'-]+[ \t]*=)")
_TWICE: Final = re.compile(r"Cannot (overwrite a value|declare .* twice|.*mutate.*)")
_ADVICE: Final = (
    ("Expected newline or end of document", "One key a line; text stands in quotes."),
    ("Invalid value", "Text stands in quotes; numbers, true and false do not."),
    ("Unclosed array", "Close the list with ]."),
    ("Unterminated string", "Close the text with the quotes it began with."),
    ("Illegal character '\\n'", "Close the text with the quotes it began with, on the same line."),
    ("Expected '=' after a key", "Write key = value."),
)


@dataclass(frozen=True, kw_only=True)
class TomlFile:
    """One file that was read. ``damaged`` are the tables in which a faulty statement was left out;
    ``()`` among them means that whole tables may be missing."""

    path: str
    table: dict[str, Any]
    places: Places
    problems: tuple[Problem, ...] = ()
    damaged: frozenset[tuple[str | int, ...]] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a configuration, in the order in which they count, and what was wrong with reading them.

    ``complete`` is false when anything is missing that was written, or could not be read.
    """

    files: tuple[TomlFile, ...] = ()
    problems: tuple[Problem, ...] = field(default=())

    @property
    def complete(self) -> bool:
        """Whether absence may be judged: everything that was written was read."""
        return not self.problems and not any(file.problems for file in self.files)


class _Unreadable(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def read_files(path: Path) -> Files:
    """Read a configuration file and ``conf.d/*.toml`` beside it, those in the order of their names.

    Never raises for what is in the files or for files that cannot be read; that becomes problems.
    """
    files: list[TomlFile] = []
    problems: list[Problem] = []
    try:
        drop_ins = _drop_ins(path.parent / DROP_IN_FOLDER)
    except OSError as error:
        drop_ins = []
        folder = str(path.parent / DROP_IN_FOLDER)
        problems.append(_problem(folder, f"the folder cannot be read: {error.strerror}"))
    for file in (path, *drop_ins):
        try:
            text = _read_text(file)
        except _Unreadable as fault:
            problems.append(fault.problem)
            continue
        if file == path and not text.strip():
            hint = "Begin with a copy of conf.example.toml, which runs as it stands."
            problems.append(_problem(str(file), "the file is empty", hint))
        files.append(parse_text(text, str(file)))
    return Files(files=tuple(files), problems=tuple(problems))


def _drop_ins(folder: Path) -> list[Path]:
    try:
        found = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [file for file in found if file.suffix == ".toml" and not file.name.startswith(".")]


def _problem(file: str, message: str, hint: str = "") -> Problem:
    return Problem(file=file, line=0, column=0, key="", message=message, hint=hint)


def _read_text(path: Path) -> str:
    data = _read_bytes(path)
    if len(data) > LARGEST_FILE_BYTES:
        message = f"the file is larger than {format_size(LARGEST_FILE_BYTES)}"
        raise _Unreadable(_problem(str(path), message, "Split it into files in conf.d."))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Unreadable(_not_utf8(path, data, error)) from None
    # Some editors put a byte order mark before UTF-8; it carries nothing. The ends of lines become
    # those that the parser counts in.
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _read_bytes(path: Path) -> bytes:
    try:
        # Non-blocking, because opening a named pipe would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISREG(mode):
                return file.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        hint = "Name another with --config."
        raise _Unreadable(_problem(str(path), "there is no such file", hint)) from None
    except IsADirectoryError:
        mode = stat.S_IFDIR
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _Unreadable(_problem(str(path), f"the file cannot be read: {reason}")) from None
    what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
    raise _Unreadable(_problem(str(path), f"the file cannot be read: it is {what}"))


def _not_utf8(path: Path, data: bytes, error: UnicodeDecodeError) -> Problem:
    before = data[: error.start]
    begin = before.rfind(b"\n") + 1
    line = data[begin:].split(b"\n", 1)[0].decode("utf-8", "replace")
    return Problem(
        file=str(path),
        line=before.count(b"\n") + 1,
        column=len(before[begin:].decode("utf-8", "replace")) + 1,
        key="",
        message=f"the byte 0x{data[error.start]:02x} is not UTF-8",
        hint="Save the file as UTF-8.",
        source=line.rstrip("\r"),
    )


def parse_text(text: str, path: str) -> TomlFile:
    """Parse one file; faulty statements become problems and are left out of ``table``."""
    problems: list[Problem] = []
    damaged: set[tuple[str | int, ...]] = set()
    twice: list[tuple[int, tuple[str | int, ...]]] = []
    table: dict[str, Any] = {}
    rest = text
    while True:
        try:
            table = tomli.loads(rest)
            break
        except tomli.TOMLDecodeError as error:
            before = Places(rest[: error.pos])
            problems.append(_syntax_problem(error, before, Places(rest), path))
            is_twice = bool(_TWICE.match(error.msg))
            if is_twice:
                twice.append((len(problems) - 1, before.path))
            is_header = rest.startswith("[", before.statement)
            damaged.add(() if is_header and not is_twice else before.path[:2])
            shorter = _without_statement(rest, before.statement, error)
        except RecursionError:
            problems.append(_problem(path, "the values are nested too deeply"))
            shorter = ""
        except ValueError:
            # The one thing that the parser lets through: int() refuses to read so many digits.
            problems.append(_problem(path, "a number has more digits than any may have"))
            shorter = ""
        if shorter == rest or len(problems) >= MOST_SYNTAX_FAULTS:
            rest = ""
            damaged.add(())
            break
        rest = shorter
    places = Places(rest)
    for position, key in twice:
        problems[position] = _told_where_first(problems[position], places.of(key, on_key=True), key)
    return TomlFile(
        path=path,
        table=table,
        # Blanking keeps lines and columns, so these places are those of the file.
        places=places,
        problems=tuple(problems),
        damaged=frozenset(damaged),
    )


def _syntax_problem(
    error: tomli.TOMLDecodeError, before: Places, whole: Places, path: str
) -> Problem:
    begin = whole.place(before.statement)
    place = Place(line=error.lineno, column=error.colno)
    message = error.msg[:1].lower() + error.msg[1:]
    if _TWICE.match(error.msg) or place.line != begin.line:
        # The parser stops behind the fault; people look for where the statement begins.
        place = begin
    hint = next((advice for start, advice in _ADVICE if error.msg.startswith(start)), "")
    return Problem(
        file=path,
        line=place.line,
        column=place.column,
        key=dotted(before.path),
        message=f"not valid TOML: {message}",
        hint=hint,
        source=whole.line_text(place.line),
    )


def _told_where_first(problem: Problem, first: Place | None, key: tuple[str | int, ...]) -> Problem:
    where = f"; first at line {first.line}" if first else ""
    return Problem(
        file=problem.file,
        line=problem.line,
        column=problem.column,
        key=problem.key,
        message=f"{dotted(key)} is defined twice{where}",
        hint="Keep one of them.",
        source=problem.source,
    )


def _without_statement(text: str, begin: int, error: tomli.TOMLDecodeError) -> str:
    """Blank the statement around a fault; a header goes with everything up to the next one."""
    begin = text.rfind("\n", 0, begin) + 1
    end = text.find("\n", error.pos)
    end = len(text) if end < 0 else end
    fault_line = text.rfind("\n", 0, error.pos) + 1
    if fault_line > begin and _BEGINS_STATEMENT.match(text, fault_line):
        # What was never closed swallowed the next statements; give them back.
        end = fault_line
    if _HEADER.match(text, begin):
        following = _HEADER.search(text, end)
        end = following.start() if following else len(text)
    blank = re.sub(r"[^\n]", " ", text[begin:end])
    return text[:begin] + blank + text[end:]
