"""Keys of jobs: a text with places for arguments, such as ``"{customer}"`` or ``"{1}/{region}"``.

``{name}`` is a named argument, ``{1}`` the first positional one, ``{{`` and ``}}`` are braces. An argument
of a function is found by its name and by its position alike, however it was given, as long as the
signature of the function is known.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from jobctl.digest import blake2b
from jobctl.errors import InvalidArguments
from jobctl.task.units import InvalidValue, shown
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobctl.task.keys import Json

LONGEST_KEY: Final = 100
"""A longer key, or one with control characters, is stored as its digest."""

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([1-9][0-9]{0,3}|[A-Za-z_][A-Za-z0-9_-]*)\}|[^{}]+")
_HINT: Final = (
    'Write {name} for a named argument, {1} for the first positional one: "{customer}". '
    "{{ and }} are braces."
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an argument stands in a template: its name, or its position in digits."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was read: literal texts and places, in their order."""

    parts: tuple[str | Place, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """The names and positions that it refers to, each once, in order; may be empty."""
        names = (part.name for part in self.parts if isinstance(part, Place))
        return tuple(dict.fromkeys(names))

    def fill(
        self, args: Sequence[Json], kwargs: Mapping[str, Json], names: Sequence[str] = ()
    ) -> str:
        """Give the text with a job's arguments: texts as they are, other values as JSON.

        ``names`` are the names of a function's positional parameters, in order; empty for commands and
        when they are not known. Raises `InvalidArguments` when an argument is not there.
        """
        return "".join(
            part if isinstance(part, str) else _text_of(_find(part.name, args, kwargs, names))
            for part in self.parts
        )


@lru_cache(maxsize=1024)
def read_template(text: str) -> Template:
    """Read a template. Raises `InvalidValue`."""
    parts: list[str | Place] = []
    at = 0
    for found in _TOKEN.finditer(text):
        if found.start() != at:
            break
        at = found.end()
        if found[1] is not None:
            parts.append(Place(found[1]))
        else:
            parts.append(found[0][0] if found[0] in ("{{", "}}") else found[0])
    if at != len(text):
        raise InvalidValue(
            f"{shown(text)} is not a key: it is not understood from {shown(text[at:])} on",
            hint=_HINT,
        )
    return Template(tuple(parts))


def short_key(key: str) -> str:
    """Give a key as it is stored and shown: itself, or ``#`` and its digest when it is long or odd.

    Two keys never become the same.
    """
    if len(key) <= LONGEST_KEY and key.isprintable() and not key.startswith("#"):
        return key
    data = key.encode(errors="surrogatepass")
    return f"#{blake2b(data, digest_size=16).hexdigest()}"


def _find(
    name: str, args: Sequence[Json], kwargs: Mapping[str, Json], names: Sequence[str]
) -> Json:
    if name.isdecimal():
        position = int(name) - 1
        if position < len(args):
            return args[position]
        if position < len(names) and names[position] in kwargs:
            return kwargs[names[position]]
        raise InvalidArguments(
            f"its key needs the argument {{{name}}}",
            hint=f"Give at least {name} positional arguments.",
        )
    if name in kwargs:
        return kwargs[name]
    if name in names and names.index(name) < len(args):
        return args[names.index(name)]
    raise InvalidArguments(f"its key needs the argument {{{name}}}", hint=f"Add -k {name}=VALUE.")


def _text_of(value: Json) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
