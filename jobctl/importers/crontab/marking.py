"""Lines of a crontab that somebody else runs now: commented out with a mark, and given back. Pure.

A mark stands before a line and changes nothing in it, so that taking the marks away gives back what was there,
byte for byte, also when other lines were edited meanwhile. All else of a table stays as it is: variables,
comments, line ends, lines that were not taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

MARK: Final = b"#jobctl# "


def marked(data: bytes, numbers: Collection[int]) -> bytes:
    """The table with these lines, counted from 1, commented out. Raises ValueError for one that is not there."""
    lines = data.split(b"\n")
    for number in numbers:
        if not 0 < number <= len(lines):
            raise ValueError(f"there is no line {number}")
        if not lines[number - 1].startswith(MARK):
            lines[number - 1] = MARK + lines[number - 1]
    return b"\n".join(lines)


def unmarked(data: bytes) -> tuple[bytes, int]:
    """The table without marks, and how many lines had one."""
    lines = data.split(b"\n")
    count = sum(line.startswith(MARK) for line in lines)
    return b"\n".join(line.removeprefix(MARK) for line in lines), count
