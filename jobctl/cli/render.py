"""The only module that prints.

On a terminal: tables, measured by Rich, whose part for that is imported when the first one is drawn, and
colours unless they are not wanted. (Rich's own tables cut whole columns away where they do not fit.) In a pipe: a header and tab-separated lines, nothing cut. ``--json``: one document on
one line. Everything that came from outside is escaped where it could act on a terminal or break a
line; only the output of jobs, which is asked for as it is, goes through untouched.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, TextIO

    from jobctl.errors import JobctlError

_STYLES = {
    "SUCCESS": "32",
    "success": "32",
    "STARTED": "36",
    "RETRY": "33",
    "FAILURE": "31",
    "failure": "31",
    "timeout": "31",
    "lost": "31",
    "REVOKED": "35",
    "PENDING": "34",
}
"""Colours of the terminal (ECMA-48) for the words that say how a thing stands."""
_NARROWEST = 6
_READABLE = 12
"""A column that is cut to this is still told apart from others."""


_NO_BREAK_SPACE = "\xa0"
"""Not printable to Python, harmless, and common in French."""


def clean(text: str) -> str:
    r"""Text that is one line and does nothing to a terminal: ``\x1b`` is written as four characters.

    Escaped is everything that is not printable, also marks that turn the direction of writing.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter == _NO_BREAK_SPACE else _escape(letter)
        for letter in text
    )


def _escape(letter: str) -> str:
    code = ord(letter)
    if letter in "\n\t\r":
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}[letter]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class Column:
    """One column of a table. On a narrow terminal one that ``may_be_cut`` gives way; before it gets too
    narrow to be read, those that ``may_be_left_out`` are not shown."""

    def __init__(
        self,
        title: str,
        *,
        may_be_cut: bool = False,
        may_be_left_out: bool = False,
        is_number: bool = False,
    ) -> None:
        self.title = title
        self.may_be_cut = may_be_cut
        self.may_be_left_out = may_be_left_out
        self.is_number = is_number


class Screen:
    """Where answers go: ``out`` for what was asked for, ``err`` for what a person should know."""

    def __init__(
        self, *, out: TextIO, err: TextIO, is_terminal: bool, width: int = 80, color: bool = False
    ) -> None:
        self.out = out
        self.err = err
        self.is_terminal = is_terminal
        self.width = width
        self.color = color

    def line(self, text: str) -> None:
        """One line, escaped."""
        _print(self.out, clean(text))

    def row(self, *cells: object) -> None:
        """One line of cells: with blanks between them on a terminal, tabs in a pipe."""
        between = " " if self.is_terminal else "\t"
        _print(self.out, between.join(_cell(value) for value in cells))

    def note(self, text: str) -> None:
        """One line for people, beside the answer, escaped."""
        self.out.flush()
        _print(self.err, clean(text))
        self.err.flush()

    def json(self, value: Any) -> None:
        """One JSON document on one line, ASCII only."""
        from jobctl.protocol.compact import dumps

        _print(self.out, dumps(value))

    def raw(self, data: bytes, *, is_error: bool = False) -> None:
        """Bytes as they are, at once; to standard error if they were written there."""
        self.out.flush()
        stream = self.err if is_error else self.out
        stream.flush()
        stream.buffer.write(data)
        stream.buffer.flush()

    def block(self, text: str) -> None:
        """Several lines of our own making, as they are."""
        _print(self.out, text.rstrip("\n"))

    def usage(self, text: str) -> None:
        """The help of a command, for somebody who did not ask for it."""
        _print(self.err, text)

    def page(self, lines: Iterable[tuple[str, str]]) -> None:
        """Labelled lines: aligned on a terminal, ``label<TAB>text`` in a pipe."""
        lines = list(lines)
        if not self.is_terminal:
            for label, text in lines:
                _print(self.out, f"{clean(label)}\t{clean(text)}")
            return
        width = max((len(label) for label, _ in lines), default=0)
        previous = ""
        for label, text in lines:
            shown = "" if label == previous else label
            words = self._styled(label, clean(text))
            _print(self.out, f"{clean(shown):<{width}}  {words}".rstrip())
            previous = label

    def prose(self, sentences: Iterable[str]) -> None:
        """Sentences, a line each; on a terminal those that are too long go on below, indented."""
        for sentence in sentences:
            lines = [clean(sentence)]
            if self.is_terminal:
                import textwrap

                lines = textwrap.wrap(
                    lines[0], max(self.width, 20), subsequent_indent="  ", break_on_hyphens=False
                )
            for line in lines:
                _print(self.out, line)

    def _styled(self, label: str, text: str) -> str:
        word = text.split(" ", 1)[0].rstrip(",")
        if not self.color or word not in _STYLES or not label.startswith(("state", "attempt")):
            return text
        return f"\x1b[{_STYLES[word]}m{word}\x1b[0m{text[len(word) :]}"

    def table(
        self,
        columns: Sequence[Column],
        rows: Iterable[Sequence[object]],
        *,
        empty: str = "",
        caption: str = "",
    ) -> None:
        """Rows under their titles; None is an empty cell.

        In a pipe each row is printed as it comes. On a terminal ``empty`` is said when there is none,
        and ``caption`` stands below.
        """
        if not self.is_terminal:
            _print(self.out, "\t".join(column.title for column in columns))
            for row in rows:
                _print(self.out, "\t".join(_cell(value) for value in row))
            return
        shown = [[_cell(value) for value in row] for row in rows]
        if not shown:
            if empty:
                _print(self.out, empty)
            return
        left_out = self._draw(columns, shown)
        if left_out:
            caption += f"{'; ' if caption else ''}not shown here: {', '.join(left_out)}"
        if caption:
            _print(self.out, clean(caption))

    def _draw(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
        """Print the table; gives back the titles of the columns that there was no room for."""
        from rich.cells import cell_len

        widths = [
            max(cell_len(text) for text in (column.title, *(row[place] for row in rows)))
            for place, column in enumerate(columns)
        ]
        places = choose(columns, widths, self.width)
        left_out = [column.title for at, column in enumerate(columns) if at not in places]
        columns = [columns[place] for place in places]
        widths = [widths[place] for place in places]
        fit(widths, [column.may_be_cut for column in columns], self.width)
        titles = self._row(columns, [column.title for column in columns], widths, is_title=True)
        _print(self.out, f"\x1b[1m{titles}\x1b[0m" if self.color else titles)
        for row in rows:
            _print(self.out, self._row(columns, [row[place] for place in places], widths))
        return left_out

    def _row(
        self,
        columns: Sequence[Column],
        row: Sequence[str],
        widths: Sequence[int],
        *,
        is_title: bool = False,
    ) -> str:
        from rich.cells import cell_len, set_cell_size

        cells = []
        for column, text, width in zip(columns, row, widths, strict=True):
            room = width - cell_len(text)
            shown = text if room >= 0 else set_cell_size(text, width - 1).rstrip() + "…"
            if self.color and text in _STYLES and not is_title:
                shown = f"\x1b[{_STYLES[text]}m{shown}\x1b[0m"
            blanks = " " * max(room, 0)
            cells.append(blanks + shown if column.is_number else shown + blanks)
        return "  ".join(cells).rstrip()

    def failure(self, error: JobctlError, *, as_json: bool) -> None:
        """An error of ours: one line with its cause, then what to do; or the error object."""
        problems = getattr(error, "problems", ())
        if as_json:
            fault: dict[str, Any] = {
                "code": error.code,
                "message": error.message,
                "hint": error.hint,
            }
            if problems:
                fault["errors"] = [problem_shape(problem) for problem in problems]
            self.json({"error": fault})
            return
        self.out.flush()
        if problems:
            from jobctl.config.problems import problems_text

            _print(self.err, problems_text(problems).rstrip("\n"))
            return
        _print(self.err, f"jobctl: {clean(error.message)}")
        if error.hint:
            _print(self.err, f"hint: {clean(error.hint)}")


def _print(stream: TextIO, text: str) -> None:
    """One line, in one piece: `print` gives text and line end to an unbuffered stream one by one, and then
    the lines of programs that share a pipe run into each other."""
    stream.write(f"{text}\n")


def problem_shape(problem: Any) -> dict[str, Any]:
    """A problem of a configuration as ``check --json`` shows it."""
    names = ("file", "line", "column", "key", "message", "hint")
    return {name: getattr(problem, name) for name in names}


def choose(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """The places of the columns that are shown: all of them, or without those that may be left out, the
    last one first, until what may be cut has room to be read."""
    places = list(range(len(columns)))
    for place in reversed(range(len(columns))):
        least = sum(
            min(widths[at], _READABLE) if columns[at].may_be_cut else widths[at] for at in places
        )
        if least + 2 * (len(places) - 1) <= width:
            break
        if columns[place].may_be_left_out:
            places.remove(place)
    return places


def fit(widths: list[int], may_be_cut: Sequence[bool], width: int) -> None:
    """Take from the widest columns that may be cut until all fit beside each other, two blanks between.

    Each of them keeps a few letters; if that is not enough, the lines stay longer than the screen: an id
    that is cut is worth nothing.
    """
    excess = sum(widths) + 2 * (len(widths) - 1) - width
    while excess > 0:
        widest = max(
            (place for place, cut in enumerate(may_be_cut) if cut),
            key=lambda place: widths[place],
            default=None,
        )
        if widest is None or widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1
        excess -= 1


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return clean(str(value))


def process_screen(color: str, environ: Mapping[str, str]) -> Screen:
    """The screen of this process. ``color`` is ``auto``, ``always`` or ``never``.

    ``auto`` is what the terminal can do, unless ``NO_COLOR`` is set (no-color.org) or ``FORCE_COLOR``.
    """
    for stream in (sys.stdout, sys.stderr):
        # A locale without a letter must not turn an answer into an error.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    is_terminal = sys.stdout.isatty()
    if color == "auto":
        wanted = is_terminal and environ.get("TERM") != "dumb"
        is_colored = not environ.get("NO_COLOR") and (wanted or bool(environ.get("FORCE_COLOR")))
    else:
        is_colored = color == "always"
    return Screen(
        out=sys.stdout,
        err=sys.stderr,
        is_terminal=is_terminal,
        width=_width(environ) if is_terminal else 80,
        color=is_colored,
    )


def _width(environ: Mapping[str, str]) -> int:
    columns = environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except OSError:
        return 80
