"""Where each key of a TOML text stands: line and column of keys and of values.

A parser gives values and forgets their places; errors need them. This is a scanner, not a second
parser: it walks text that `tomli` has accepted and notes where keys, values and the members of arrays
begin. It also finds the statement around a fault in text that was refused, so that the rest can still
be judged.
"""

from __future__ import annotations

import contextlib
import re
from bisect import bisect_right
from typing import Final, TypeAlias

import tomli

from jobctl.values import dataclass

Path: TypeAlias = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE: Final = re.compile(r"[^ \t\r\n.=\[\]{},\"'#]+")
_BASIC: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL: Final = re.compile(r"'[^'\n]*'")
_LONG_BASIC: Final = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL)
_LONG_LITERAL: Final = re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL)
_SCALAR: Final = re.compile(r"[^,\]}#\n]*")
# Most lines of most files; read whole, they cost a third.
_PLAIN_PAIR: Final = re.compile(
    r"""([A-Za-z0-9_-]+)[ \t]*=[ \t]*("[^"\\\n]*"|[A-Za-z0-9_.+:-]+)[ \t]*(?=\n|\Z)"""
)


@dataclass(frozen=True)
class Place:
    """A place in a text; both count from 1, columns in characters."""

    line: int
    column: int


class _Cut(Exception):
    """The text ends inside a statement, which is how prefixes end."""


class Places:
    """The places of a text. Paths name tables, keys and positions: ``("tasks", "a", "args", 0)``.

    ``statement`` is where the statement begins in which the text ends, or which would begin at its end;
    ``path`` is what it sets, as far as that could be read.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.keys: dict[Path, int] = {}
        self.values: dict[Path, int] = {}
        self.statement = 0
        self.path: Path = ()
        self._at = 0
        self._arrays: dict[Path, int] = {}
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        with contextlib.suppress(_Cut):
            self._scan()

    def place(self, offset: int) -> Place:
        """Give the place of an offset in the text."""
        line = bisect_right(self._lines, offset)
        return Place(line=line, column=offset - self._lines[line - 1] + 1)

    def offset(self, line: int) -> int:
        """Give the offset at which a line begins; the end of the text for lines after the last."""
        return self._lines[line - 1] if line <= len(self._lines) else len(self.text)

    def line_text(self, line: int) -> str:
        """Give a line without its end; empty when there is no such line."""
        if not 1 <= line <= len(self._lines):
            return ""
        return self.text[self._lines[line - 1] : self.offset(line + 1)].rstrip("\r\n")

    def of(self, path: Path, *, on_key: bool = False) -> Place | None:
        """Give the place of the value (or key) at a path, else of what is around it; None if nothing is."""
        for length in range(len(path), 0, -1):
            part = path[:length]
            # A member of an array has no key; what is around a missing key is told by its value.
            wants_key = on_key and length == len(path)
            for offsets in (self.keys, self.values) if wants_key else (self.values, self.keys):
                if part in offsets:
                    return self.place(offsets[part])
        return None

    def _scan(self) -> None:
        base: Path = ()
        while True:
            end = self._at
            self._skip(_BLANK)
            is_last = self._at >= len(self.text)
            # What follows on the line of a statement belongs to it; a new line begins another.
            if not is_last or "\n" in self.text[end:]:
                self.statement, self.path = self._at, base
            if is_last:
                return
            base = self._header() if self._sees("[") else self._pair(base)

    def _plain_pair(self, base: Path) -> bool:
        """Take a pair of a bare key and a short value that fill a line; False for anything else."""
        found = _PLAIN_PAIR.match(self.text, self._at)
        if found is None:
            return False
        self.path = path = (*base, found[1])
        self.keys.setdefault(path, self._at)
        self.values.setdefault(path, found.start(2))
        self._at = found.end()
        return True

    def _header(self) -> Path:
        begin = self._at
        is_array = self._sees("[[")
        self._at += 2 if is_array else 1
        parts = self._key_parts()
        path: Path = ()
        for position, (name, _) in enumerate(parts, start=1):
            path = (*path, name)
            self.keys.setdefault(path, begin)
            if path in self._arrays and not (is_array and position == len(parts)):
                path = (*path, self._arrays[path])
        self.path = path
        if is_array:
            self._arrays[path] = self._arrays.get(path, -1) + 1
            path = (*path, self._arrays[path])
            self.keys[path] = begin
        self._expect("]")
        if is_array:
            self._expect("]")
        return path

    def _pair(self, base: Path) -> Path:
        if self._plain_pair(base):
            return base
        path = base
        for name, begin in self._key_parts():
            path = (*path, name)
            self.keys.setdefault(path, begin)
        self.path = path
        self._expect("=")
        self._skip(_SPACE)
        self._value(path)
        return base

    def _key_parts(self) -> list[tuple[str, int]]:
        parts = []
        while True:
            self._skip(_SPACE)
            begin = self._at
            if self._sees('"') or self._sees("'"):
                token = self._take(_BASIC if self._sees('"') else _LITERAL)
                try:
                    parts.append((str(tomli.loads(f"k = {token}")["k"]), begin))
                except tomli.TOMLDecodeError:
                    raise _Cut from None
            else:
                parts.append((self._take(_BARE), begin))
            self._skip(_SPACE)
            if not self._sees("."):
                return parts
            self._at += 1

    def _value(self, path: Path) -> None:
        self.values.setdefault(path, self._at)
        match self.text[self._at : self._at + 1]:
            case '"':
                self._take(_LONG_BASIC if self._sees('"""') else _BASIC)
            case "'":
                self._take(_LONG_LITERAL if self._sees("'''") else _LITERAL)
            case "[":
                self._members(path)
            case "{":
                self._pairs(path)
            case _:
                if not self._take(_SCALAR).strip():
                    raise _Cut

    def _members(self, path: Path) -> None:
        self._at += 1
        position = 0
        while True:
            self._skip(_BLANK)
            if self._sees("]"):
                self._at += 1
                return
            self._value((*path, position))
            position += 1
            self._comma("]")

    def _pairs(self, path: Path) -> None:
        self._at += 1
        whole = self.path
        while True:
            self._skip(_BLANK)
            if self._sees("}"):
                self._at += 1
                self.path = whole
                return
            self._pair(path)
            self._comma("}")

    def _comma(self, closing: str) -> None:
        self._skip(_BLANK)
        if self._sees(","):
            self._at += 1
        elif not self._sees(closing):
            raise _Cut

    def _sees(self, text: str) -> bool:
        return self.text.startswith(text, self._at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self._at)
        self._at = found.end() if found else self._at

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self._at)
        if found is None:
            raise _Cut
        self._at = found.end()
        return found[0]

    def _expect(self, text: str) -> None:
        if not self._sees(text):
            raise _Cut
        self._at += len(text)
