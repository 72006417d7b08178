"""As much of a shell's grammar as looking at a command needs: quotes, what is open, the commands of a line.

It only looks. A text that it does not understand is left alone by its callers.
"""

from __future__ import annotations

import re
import shlex


def is_open(text: str) -> bool:
    """Whether the text ends inside quotes, ``$( )``, ``$(( ))``, backquotes or parentheses: sh(1) refuses it."""
    closers: list[str] = []
    letters = iter(enumerate(text))
    for at, letter in letters:
        inner = closers[-1] if closers else ""
        if inner == "'":
            if letter == "'":
                closers.pop()
        elif letter == "\\":
            next(letters, None)
        elif letter == inner:
            closers.pop()
        elif letter == "`" or letter == '"' or (letter == "'" and inner != '"'):
            closers.append(letter)
        elif letter == "(" and (inner != '"' or text[at - 1 : at] == "$"):
            closers.append(")")
        elif letter == "#" and not closers and (at == 0 or text[at - 1].isspace()):
            break
    return bool(closers)


def parts_of(text: str) -> list[tuple[str, str]]:
    """The commands of a line with what stands before each: ``""``, ``;``, ``&&``, ``||``, ``|``, ``&``.

    Separators in quotes and in parentheses separate nothing; ``2>&1`` and ``&>`` are no separators.
    """
    found: list[tuple[str, str]] = []
    separator, begin, at, depth, quote = "", 0, 0, 0, ""
    while at < len(text):
        letter = text[at]
        if quote:
            if letter == quote:
                quote = ""
            elif letter == "\\" and quote == '"':
                at += 1
        elif letter == "\\":
            at += 1
        elif letter in "'\"`":
            quote = letter
        elif letter in "({":
            depth += 1
        elif letter in ")}":
            depth -= 1
        elif depth <= 0 and (operator := _OPERATOR.match(text, at)) and not _is_redirect(text, at):
            found.append((separator, text[begin:at].strip()))
            separator = operator[0]
            begin = operator.end()
            at = begin - 1
        at += 1
    found.append((separator, text[begin:].strip()))
    return [(operator, part) for operator, part in found if part]


_OPERATOR = re.compile(r"&&|\|\||;|\||&")


def _is_redirect(text: str, at: int) -> bool:
    """An ampersand that belongs to ``2>&1``, ``<&3`` or ``&>``."""
    return text[at] == "&" and (text[at - 1 : at] in ("<", ">") or text[at + 1 : at + 2] == ">")


def words_of(text: str) -> list[str]:
    """The words of one command, without their quotes; blanks alone divide where quotes do not match."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
