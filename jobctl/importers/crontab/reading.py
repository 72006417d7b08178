"""From the text of a crontab to its lines: what cron takes each for, and what surrounds it.

Nothing is judged here but the form, as cronie's ``load_env`` and ``load_entry`` do it: first a line is tried as
a variable, then as an entry. What cron refuses is kept as `Broken` with cron's own word for it. A variable
holds for the entries below it, so each entry carries those above.
"""

from __future__ import annotations

import re
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from jobctl.importers.crontab.kinds import Form
from jobctl.importers.crontab.marking import MARK
from jobctl.importers.crontab.percent import cut
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jobctl.importers.crontab.programs import Program


class Flaw(StrEnum):
    """What is wrong with a line as a whole, whatever it says."""

    NO_END = "no end"
    """The last line, without a line end."""
    CARRIAGE_RETURN = "carriage return"
    """It ends as lines of DOS do."""
    MARK = "mark"
    """It begins with a mark of byte order."""
    BLANK = "blank"
    """It begins with a blank that is none to cron, as text from web pages has."""
    NOT_UTF8 = "not UTF-8"
    """It holds bytes that are not UTF-8."""
    NUL = "NUL"
    """It holds a NUL character."""
    BACKSLASH = "backslash"
    """It ends with a backslash, as if it went on below."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a table, without its end. ``number`` counts from 1; ``flaws`` may be empty.

    ``text`` is what would be read if it had none of the flaws that can be taken away.
    """

    number: int
    text: str
    flaws: frozenset[Flaw] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Variable:
    """``NAME = value``. ``is_quoted``: the value stands in quotes."""

    line: Line
    name: str
    value: str
    is_quoted: bool = False


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is to be run and when. ``times`` are five fields with single blanks, or a nickname.

    ``user`` is None in a user's table. ``options`` are the letters before the command, ``is_quiet`` tells of
    the minus before the line. ``written`` is the command as it stands, ``command`` and ``input`` what cron
    makes of it. ``env`` are the variables above it, ``about`` the comments directly above.
    """

    line: Line
    times: str
    user: str | None
    written: str
    command: str
    input: str | None = None
    is_cut: bool = False
    options: str = ""
    is_quiet: bool = False
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A line that cron refuses. ``reason`` is its word for that; ``rest`` what follows the times."""

    line: Line
    reason: str
    times: str = ""
    rest: str = ""


Read: TypeAlias = Variable | Entry | Broken

_BOM: Final = "\ufeff"
_FALSE_BLANKS: Final = "\u00a0\u2007\u202f\u200b\u3000"
_BLANKS: Final = " \t"
_NAME: Final = re.compile(r"""(?:'([^'=]*)'|"([^"=]*)"|([^\s='"][^\s=]*|))\s*=\s*""")
_QUOTED: Final = re.compile(r"""(?:'([^']*)'|"([^"]*)")\s*\Z""")
_WORD: Final = re.compile(r"[ \t]*([^ \t]+)[ \t]*")
_NUMBER_OF_TIMES: Final = 5


def lines_of(data: bytes) -> Iterator[Line]:
    """The lines of a table, whatever its bytes are."""
    text = data.decode("utf-8", errors="surrogateescape")
    parts = text.split("\n")
    last = parts.pop()
    for number, part in enumerate(parts, start=1):
        yield _line(number, part, ())
    if last:
        yield _line(len(parts) + 1, last, (Flaw.NO_END,))


def _line(number: int, text: str, known: tuple[Flaw, ...]) -> Line:
    flaws = set(known)
    if number == 1 and text.startswith(_BOM):
        flaws.add(Flaw.MARK)
        text = text.removeprefix(_BOM)
    if text.endswith("\r"):
        flaws.add(Flaw.CARRIAGE_RETURN)
        text = text.rstrip("\r")
    bare = text.lstrip(_BLANKS + _FALSE_BLANKS)
    if text[: len(text) - len(bare)].strip(_BLANKS):
        flaws.add(Flaw.BLANK)
        text = bare
    if any("\udc80" <= letter <= "\udcff" for letter in text):
        flaws.add(Flaw.NOT_UTF8)
    if "\0" in text:
        flaws.add(Flaw.NUL)
    if text.endswith("\\") and not text.lstrip().startswith("#"):
        flaws.add(Flaw.BACKSLASH)
    return Line(number=number, text=text, flaws=frozenset(flaws))


def read_table(data: bytes, form: Form, program: Program) -> Iterator[Read]:
    """What the lines of a crontab say, in their order; comments and empty lines are left out.

    ``form`` is one of the crontabs' two; the other table is read by `jobctl.importers.crontab.anacron`.
    """
    env: dict[str, str] = {}
    about: list[str] = []
    for line in lines_of(data):
        bare = line.text.strip(_BLANKS)
        if not bare or bare.startswith("#"):
            # What stands above a line that was taken over is about that one.
            is_taken = bare.encode(errors="replace").startswith(MARK)
            about = [*about, bare.lstrip("#").strip()] if bare and not is_taken else []
            continue
        read = read_variable(line, program) or _read_entry(
            line, form, program, env, about_of(about, program)
        )
        about = []
        if isinstance(read, Variable):
            env[read.name] = read.value
        yield read


def read_variable(line: Line, program: Program) -> Variable | None:
    """The variable that a line sets, None when it is none to cron. A later one of a name replaces it."""
    text = line.text.lstrip(_BLANKS)
    named = _NAME.match(text)
    if named is None:
        return None
    name = next(group for group in named.groups() if group is not None)
    rest = text[named.end() :]
    if rest[:1] in ("'", '"'):
        quoted = _QUOTED.match(rest)
        if quoted is None:
            return None
        value = next(group for group in quoted.groups() if group is not None)
        return Variable(line=line, name=name, value=value, is_quoted=True)
    if not rest and not program.has_empty_values:
        return None
    return Variable(line=line, name=name, value=rest.rstrip())


def _read_entry(
    line: Line, form: Form, program: Program, env: Mapping[str, str], about: str
) -> Entry | Broken:
    # Blanks behind a command stay: they may belong to what it is given as input.
    text = line.text.lstrip(_BLANKS)
    is_quiet = program.has_quiet_mark and re.match(r"-[^ \t]", text) is not None
    if is_quiet:
        text = text[1:]
    wanted = 1 if text.startswith("@") else _NUMBER_OF_TIMES
    words, rest = _words(text, wanted)
    times = " ".join(words)
    if len(words) < wanted or not rest:
        return Broken(line=line, reason="bad command", times=times, rest=rest)
    if rest.startswith("*"):
        # cron's own check for a sixth star.
        return Broken(line=line, reason="bad command", times=times, rest=rest)
    user = None
    if form is Form.SYSTEM:
        (user, *_), behind = _words(rest, 1)
        if not behind:
            return Broken(line=line, reason="bad command", times=times, rest=rest)
        rest = behind
    options, command = _options(rest, program)
    if command is None:
        return Broken(line=line, reason="bad option", times=times, rest=rest)
    parted = cut(command) if program.cuts_at_percent else None
    return Entry(
        line=line,
        times=times,
        user=user,
        written=command,
        command=command if parted is None else parted.command,
        input=None if parted is None else parted.input,
        is_cut=parted is not None and parted.is_cut,
        options=options,
        is_quiet=is_quiet,
        env=dict(env),
        about=about,
    )


def _words(text: str, count: int) -> tuple[list[str], str]:
    """The first words, at most so many, and what follows them."""
    words: list[str] = []
    at = 0
    while len(words) < count and (found := _WORD.match(text, at)):
        words.append(found[1])
        at = found.end()
    return words, text[at:]


def _options(text: str, program: Program) -> tuple[str, str | None]:
    """The letters of the options before a command, and the command; None when cron refuses them."""
    letters = ""
    while program.options and text.startswith("-"):
        (word, *_), rest = _words(text, 1)
        letter = word[1:]
        if len(letter) != 1 or letter not in program.options or letter in letters or not rest:
            return letters, None
        letters += letter
        text = rest
    return letters, text


# -- comments -------------------------------------------------------------------------------------

_HEADS: Final = re.compile(
    r"(?i)m\s+h\s+dom|\.-+ minute|(\|\s*)+|.*\bdo not edit\b.*|.*installed on .*|.*\(cron version.*|"
    r".*\bvim?:|.*\bminute\b.*\bhour\b|\$Id"
)
_LONGEST_ABOUT: Final = 300


def about_of(comments: list[str], program: Program) -> str:
    """What the comments directly above an entry say of it; empty when they are no sentences about it.

    Lines of dashes, the usual heads of tables and entries that were commented out are left away.
    """
    said = [
        comment
        for comment in comments
        if re.search(r"\w", comment)
        and not _HEADS.match(comment)
        and not _is_entry(comment, program)
    ]
    text = " ".join(" ".join(said).split()).strip("-=*# ")
    text = "".join(letter for letter in text if letter.isprintable())
    return text if len(text) <= _LONGEST_ABOUT else text[: _LONGEST_ABOUT - 1] + "…"


def _is_entry(text: str, program: Program) -> bool:
    words, rest = _words(text, _NUMBER_OF_TIMES)
    if words and words[0] in program.nicknames:
        return True
    return (
        len(words) == _NUMBER_OF_TIMES
        and bool(rest)
        and all(
            re.fullmatch(r"[0-9*][0-9A-Za-z*,/~-]*|[A-Za-z]{3}([,-][A-Za-z]{3})*", w) for w in words
        )
    ) or bool(re.match(r"[A-Z_]+\s*=", text))
