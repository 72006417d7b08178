"""Writing manual pages: the few requests of man(7) that are needed, and what has to be escaped for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_BOLD: Final = re.compile(r"`([^`]+)`")
_AFTER_HEADING: Final = re.compile(r"(^\.S[HS] [^\n]*\n)\.PP\n", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def head(name: str, section: int, about: str) -> str:
    """The first lines: the title, and the line that ``apropos`` reads."""
    return (
        f'.TH {name.upper()} {section} "" jobctl "Manual of jobctl"\n'
        f".SH NAME\n{escaped(name)} \\- {escaped(about)}\n"
    )


def joined(parts: Iterable[str]) -> str:
    """A page of its parts. A heading begins a paragraph by itself."""
    return _AFTER_HEADING.sub(r"\1", "".join(parts))


def section(title: str) -> str:
    """A heading."""
    return f".SH {quoted(title.upper())}\n"


def subsection(title: str) -> str:
    """A heading below one."""
    return f".SS {quoted(title)}\n"


def paragraph(text: str) -> str:
    """A paragraph; what stands in backticks is bold, and of links only the words are left."""
    return f".PP\n{marked(text)}\n"


def item(term: str, text: str) -> str:
    """A term, and what it means."""
    return f".TP\n\\fB{escaped(term)}\\fR\n{marked(text) or chr(92) + '&'}\n"


def verbatim(text: str) -> str:
    """Lines as they are."""
    lines = "\n".join(_line(escaped(line)) for line in text.rstrip("\n").split("\n"))
    return f".PP\n.nf\n{lines}\n.fi\n"


def marked(text: str) -> str:
    """Running text."""
    # As it stands in a table of Markdown.
    plain = _LINK.sub(r"\1", text).replace("\\|", "|")
    parts = _BOLD.split(plain)
    joined = "".join(
        f"\\fB{escaped(part)}\\fR" if place % 2 else escaped(part)
        for place, part in enumerate(parts)
    )
    return "\n".join(_line(line) for line in joined.split("\n") if line)


def quoted(text: str) -> str:
    """An argument of a request."""
    return '"' + escaped(text).replace('"', '""') + '"'


def escaped(text: str) -> str:
    """Text in which nothing means anything to roff. A minus is one that can be pasted into a shell."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "".join(letter if ord(letter) < 128 else f"\\[u{ord(letter):04X}]" for letter in text)


def _line(text: str) -> str:
    return f"\\&{text}" if text.startswith((".", "'")) else text
