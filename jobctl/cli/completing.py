"""Completion, asked by a shell at each press of a key: ``jobctl __complete SHELL INDEX WORD…``.

One of the hot verbs: neither Typer nor Rich nor the client is imported. What can stand where comes from a table
that is made from the commands (`jobctl.cli.completion_maker`), names and ids come from the daemon. Whatever goes
wrong offers nothing and says nothing: nobody wants a message in the middle of a line.

INDEX is the place of the word under the cursor among the WORDs, the first of which is ``jobctl``. Answered is one
candidate a line, for zsh and fish with a tab and a description.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PATIENCE_S = 0.3
_MOST = 100

_ASKED: dict[str, tuple[tuple[dict[str, Any], str, str], ...]] = {
    "tasks": (({"do": "inspect", "what": "registered", "limit": 1000}, "tasks", "name"),),
    "jobs": (({"do": "list", "limit": _MOST}, "jobs", "id"),),
    "queues": (({"do": "inspect", "what": "queues"}, "queues", "name"),),
    "groups": (({"do": "inspect", "what": "groups"}, "groups", "group"),),
    "schedules": (({"do": "schedules", "limit": _MOST}, "schedules", "name"),),
}
_ASKED["schedules or tasks"] = _ASKED["schedules"] + _ASKED["tasks"]


def run(argv: list[str], environ: Mapping[str, str]) -> int:
    """Print candidates; always 0."""
    try:
        shell, index, words = argv[0], int(argv[1]), argv[2:]
        found = candidates(shell, index, words, environ)
    except Exception:  # noqa: BLE001 -- see the module
        return 0
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return 0


def candidates(shell: str, index: int, words: list[str], environ: Mapping[str, str]) -> list[str]:
    """The lines for a shell. Raises anything for a line that makes no sense."""
    if not 1 <= index <= len(words):
        raise ValueError(index)
    before, current = words[1:index], words[index] if index < len(words) else ""
    head = ""
    if shell == "bash":
        before, current, head = _joined(before, current)
    place = _Place(_table(), before)
    prefix, sign, value = current.partition("=")
    if sign and prefix.startswith("--") and not place.is_raw:
        found = place.values(place.options.get(prefix), value, environ)
        # bash has cut the word at the sign, and puts what it is given behind it.
        head = "" if shell == "bash" else f"{prefix}="
    else:
        found = place.offered(current, environ)
    return [
        f"{head}{word}\t{help}" if shell != "bash" and help else f"{head}{word}"
        for word, help in found
    ]


def _joined(before: list[str], current: str) -> tuple[list[str], str, str]:
    """bash takes ``--queue=mail`` for three words; here it is one again."""
    joined: list[str] = []
    for word in (*before, current):
        if joined and (word == "=" or joined[-1].endswith("=")) and joined[-1].startswith("--"):
            joined[-1] += word
        else:
            joined.append(word)
    return joined[:-1], joined[-1], ""


class _Place:
    """Where on the line the cursor stands."""

    def __init__(self, table: dict[str, Any], before: list[str]) -> None:
        self._command = table
        self._root = table
        self.is_raw = False
        self.socket: str | None = None
        self.config: str | None = None
        self._wanted: Any = None
        self._is_value = False
        self._option = ""
        self._count = 0
        for word in before:
            self._take(word)

    @property
    def options(self) -> dict[str, Any]:
        """The options that can stand here."""
        options: dict[str, Any] = self._command["options"]
        return options

    def _take(self, word: str) -> None:
        if self._is_value:
            self._is_value = False
            self._note(self._option, word)
        elif self.is_raw:
            return
        elif word == "--":
            self.is_raw = True
        elif word.startswith("-") and word != "-":
            name, sign, value = word.partition("=")
            self._option = name
            kind = self.options.get(name)
            if kind is not None and not sign:
                self._is_value, self._wanted = True, kind
            elif sign:
                self._note(name, value)
        elif word in self._command["commands"]:
            self._command = self._command["commands"][word]
        elif self._command["commands"]:
            # There is no such command, and nothing is known of what follows.
            self.is_raw = True
        else:
            self._count += 1

    def _note(self, option: str, value: str) -> None:
        if option == "--socket":
            self.socket = value
        elif option == "--config":
            self.config = value

    def offered(self, current: str, environ: Mapping[str, str]) -> list[tuple[str, str]]:
        """What can stand under the cursor, with what it means."""
        if self._is_value:
            return self.values(self._wanted, current, environ)
        if self.is_raw:
            return []
        if current.startswith("-"):
            return [(name, "") for name in self.options if name.startswith(current)]
        commands = self._command["commands"]
        if commands:
            return [(n, one["help"]) for n, one in commands.items() if n.startswith(current)]
        arguments = self._command["arguments"]
        if self._count >= len(arguments) and not (arguments and self._command["is_repeated"]):
            return []
        return self.values(arguments[min(self._count, len(arguments) - 1)], current, environ)

    def values(self, kind: Any, current: str, environ: Mapping[str, str]) -> list[tuple[str, str]]:
        """Values of a kind that begin so."""
        if isinstance(kind, list):
            return [(word, "") for word in kind if word.startswith(current)]
        found: dict[str, str] = {}
        for request, things, name in _ASKED.get(kind, ()):
            if things == "schedules":
                request = {**request, "prefix": current}
            for thing in _call(request, self, environ)[things]:
                word = str(thing[name])
                if word.startswith(current):
                    found.setdefault(word, _about(thing))
        return list(found.items())


def named(kind: str, current: str, environ: Mapping[str, str]) -> list[str]:
    """Names or ids of a kind that begin so, of the daemon that is found without options; empty on trouble."""
    try:
        return [word for word, _ in _Place(_table(), []).values(kind, current, environ)]
    except Exception:  # noqa: BLE001 -- see the module
        return []


def _about(thing: dict[str, Any]) -> str:
    if "state" in thing and "id" in thing:
        what = thing.get("task") or " ".join(thing.get("command") or [])
        text = f"{thing['state']} {what}"
    else:
        text = str(thing.get("description") or "")
    return "".join(letter if letter.isprintable() else " " for letter in text)[:60]


def _call(request: dict[str, Any], place: _Place, environ: Mapping[str, str]) -> dict[str, Any]:
    from jobctl.cli.fast import Line, call_daemon
    from jobctl.cli.places import find_socket

    socket = place.socket or find_socket(place.config, environ, os.getuid())
    line = Line(request, socket=socket or None, as_json=True, words_at=0)
    return next(call_daemon(line, environ, patience_s=PATIENCE_S))


def _table() -> dict[str, Any]:
    from jobctl.protocol.compact import loads

    path = os.path.join(os.path.dirname(__file__), "completion.json")  # noqa: PTH118, PTH120 -- pathlib costs more than all of this
    with open(path) as file:  # noqa: PTH123 -- see above
        table: dict[str, Any] = loads(file.read())
    return table
