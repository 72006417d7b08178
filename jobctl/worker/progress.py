"""What a command writes to its descriptor of reports, on its way to the attempt's file.

Apart from `jobctl.reports` because keepers are many: without ``re`` and ``json``, which each of them would
share and touch.
"""

from __future__ import annotations

from jobctl import reports
from jobctl.protocol.compact import dumps

_WHOLE_DIGITS = 15
_FRACTION_DIGITS = 9


def read_line(line: str) -> str | None:
    """The record of a command's line: ``3/10 copying``, ``30% copying``, ``3``; None for any other line."""
    amount, _, note = line.strip().replace("\t", " ").partition(" ")
    done_text, slash, total_text = amount.partition("/")
    is_percent = not slash and done_text.endswith("%")
    done = _number(done_text.removesuffix("%") if is_percent else done_text)
    total = _number(total_text) if slash else 100 if is_percent else None
    if done is None or (slash and total is None):
        return None
    try:
        return dumps(reports.report(done, total, note or None))
    except ValueError:
        return None


def _number(text: str) -> float | None:
    """A plain decimal number; None for any other text, such as one with a sign or an exponent."""
    whole, point, fraction = text.partition(".")
    if not (whole.isdecimal() and len(whole) <= _WHOLE_DIGITS):
        return None
    if not point:
        return int(whole)
    is_fraction = fraction.isdecimal() and len(fraction) <= _FRACTION_DIGITS
    return float(text) if is_fraction else None


class Lines:
    """The descriptor's read end, so to say: takes bytes, and writes the last line that says something."""

    __slots__ = ("_path", "_rest")

    def __init__(self, path: str) -> None:
        self._path = path
        self._rest = b""

    def write(self, data: bytes) -> None:
        """Take more of it; a line that does not end within a record's length is dropped."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[: reports.RECORD_BYTES]
        for line in reversed(lines):
            found = read_line(line.decode(errors="replace"))
            if found is not None:
                reports.write(self._path, found)
                return

    def remove(self) -> None:
        """The attempt has ended."""
        reports.remove(self._path)
