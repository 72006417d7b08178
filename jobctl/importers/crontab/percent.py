"""The percent sign in a crontab's command: where cron cuts it, and what it hands over as input.

Cron reads the command and what follows the cut by two different rules, and both are kept here to the letter:
in the command a backslash protects the sign behind it, whatever that is; in the input it protects a percent
sign only. Quotes mean nothing to either. Source: cronie, ``do_command.c``.
"""

from __future__ import annotations

from jobctl.values import dataclass


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What a command's text came to.

    ``input`` is its standard input, None where there is none. It ends with a line end, unless backslashes
    are all that stands in its last line. ``is_cut`` tells whether there was a sign that cut, also when nothing follows it.
    """

    command: str
    input: str | None = None
    is_cut: bool = False


def cut(text: str) -> Cut:
    """Cut a command's text as cron does. Any text can be cut."""
    command: list[str] = []
    letters = iter(text)
    for letter in letters:
        if letter == "%":
            rest = "".join(letters)
            return Cut(command="".join(command), input=_input(rest) or None, is_cut=True)
        if letter == "\\":
            protected = next(letters, "")
            command.append("%" if protected == "%" else letter + protected)
        else:
            command.append(letter)
    return Cut(command="".join(command))


def _input(text: str) -> str:
    parts: list[str] = []
    is_protected = False
    for letter in text:
        if letter == "%":
            # The backslash before it has been kept already, and goes: "\\%" gives "\%".
            if is_protected:
                parts[-1] = "%"
            else:
                parts.append("\n")
        else:
            parts.append(letter)
        is_protected = letter == "\\"
    made = "".join(parts)
    # cron forgets to look at backslashes when it decides about the last line's end.
    is_open = made.rstrip("\\")[-1:] not in ("", "\n")
    return made + "\n" if is_open else made
