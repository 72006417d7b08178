"""How the arguments of a job reach its command or its function (DESIGN section 8, "Arguments").

A client sends what was typed; the daemon, which knows the task, converts it here, once, when the job
is submitted. An argument is either `Typed`, text whose type is still to be found, or `Exact`, a JSON
value that is never guessed at (``name:=JSON``, ``--args-json``, everything from Python and from the
file).

A command gets text: `texts` converts at submit, `build_argv`, `shell_argv` and `build_env` put the
text into the task's command when the attempt begins. Nothing of it ever enters a shell string. A
function gets typed values: `bind` converts and checks them against its parameters.

Everything is pure. Everything that cannot be taken raises `jobctl.errors.InvalidArguments`.
"""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from jobctl.errors import InvalidArguments
from jobctl.task.keys import read_json
from jobctl.task.units import InvalidValue, shown
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobctl.task.keys import Json

LONGEST_STRING_BYTES: Final = 128 * 1024 - 1
"""The longest string that execve(2) takes (MAX_ARG_STRLEN), its final NUL not counted."""

SHELL: Final = "/bin/sh"

_NAMED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)(:=|=)(.*)", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PLACEHOLDER: Final = re.compile(r"\{([1-9][0-9]{0,3}|[A-Za-z_][A-Za-z0-9_-]*)\}")
_ESCAPED: Final = re.compile(r"\{(\{[A-Za-z0-9_-]+\})\}")
_ZERO: Final = re.compile(r"\{0+[0-9]*\}")
_OPTIONAL: Final = re.compile(r"(?:typing\.)?Optional\[(.*)\]")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+")
_TRUTH: Final = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


@dataclass(frozen=True)
class Typed:
    """Text as a person typed it; what it means depends on the task."""

    text: str


@dataclass(frozen=True)
class Exact:
    """A JSON value that is taken as it is."""

    value: Json


Argument: TypeAlias = Typed | Exact


@dataclass(frozen=True, kw_only=True)
class Given:
    """The arguments of one request. May hold secrets: left out of ``repr``."""

    args: tuple[Argument, ...] = field(default=(), repr=False)
    kwargs: Mapping[str, Argument] = field(default_factory=dict, repr=False)

    @classmethod
    def exact(cls, args: Sequence[Json] = (), kwargs: Mapping[str, Json] | None = None) -> Given:
        """Give arguments that are JSON already: those of Python callers, schedules and tables."""
        named = {name: Exact(value) for name, value in (kwargs or {}).items()}
        return cls(args=tuple(Exact(value) for value in args), kwargs=named)


class ParameterKind(StrEnum):
    """How a parameter of a function may be given."""

    POSITIONAL_ONLY = "positional_only"
    """By its position."""
    EITHER = "either"
    """By its position or by its name."""
    VAR_POSITIONAL = "var_positional"
    """``*args``: any further positions."""
    KEYWORD_ONLY = "keyword_only"
    """By its name."""
    VAR_KEYWORD = "var_keyword"
    """``**kwargs``: any further names."""


_BY_POSITION: Final = (ParameterKind.POSITIONAL_ONLY, ParameterKind.EITHER)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a function, as its template reports it.

    ``annotation`` is ``str``, ``int``, ``float``, ``bool``, ``list`` or ``dict``; None for no
    annotation and for any other.
    """

    name: str
    annotation: str | None = None
    has_default: bool = False
    kind: ParameterKind = ParameterKind.EITHER

    def to_json(self) -> dict[str, Json]:
        """Give ``name``, ``annotation``, ``has_default``, ``kind``."""
        return {
            "name": self.name,
            "annotation": self.annotation,
            "has_default": self.has_default,
            "kind": self.kind.value,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Parameter:
        """Take what `to_json` gave. Raises ``KeyError`` or ``ValueError`` for anything else."""
        annotation = data["annotation"]
        return cls(
            name=str(data["name"]),
            annotation=None if annotation is None else plain_annotation(str(annotation)),
            has_default=bool(data["has_default"]),
            kind=ParameterKind(data["kind"]),
        )


def plain_annotation(text: str) -> str | None:
    """Give the plain type that an annotation's source text means, None when it is none of ours.

    ``str | None`` and ``Optional[str]`` are ``str``, because text that was typed is there;
    ``list[int]`` is ``list``.
    """
    optional = _OPTIONAL.fullmatch(text.strip())
    words = (optional[1] if optional else text).split("|")
    kinds = {word.strip() for word in words} - {"None"}
    if len(kinds) != 1:
        return None
    kind = kinds.pop().partition("[")[0].strip()
    return kind if kind in _CONVERTERS else None


def parse_named(text: str) -> tuple[str, Argument]:
    """Read ``name=value`` (typed text) or ``name:=JSON`` (an exact value)."""
    found = _NAMED.fullmatch(text)
    if found is None:
        raise InvalidArguments(
            f"{shown(text)} is not a named argument",
            hint="Write name=value, or name:=JSON for a number, a list or a table.",
        )
    name, sign, value = found.groups()
    if sign == "=":
        return name, Typed(value)
    return name, Exact(parse_json(value, what=f"the value of {shown(name)}"))


def parse_named_all(texts: Sequence[str]) -> dict[str, Argument]:
    """Read several named arguments; a name that is given twice is refused."""
    named: dict[str, Argument] = {}
    for text in texts:
        name, argument = parse_named(text)
        if name in named:
            raise InvalidArguments(
                f"the argument {shown(name)} is given twice", hint="Give it once."
            )
        named[name] = argument
    return named


def parse_args_json(text: str) -> tuple[Argument, ...]:
    """Read ``--args-json``: a JSON list of positional arguments, taken as they are."""
    value = parse_json(text, what="--args-json")
    if not isinstance(value, list):
        raise InvalidArguments(
            "--args-json is not a list", hint="Write a JSON list: '[1, \"two\"]'."
        )
    return tuple(Exact(member) for member in value)


def parse_json(text: str, *, what: str) -> Json:
    """Read JSON strictly: no NaN, no infinities, no name twice in an object."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object_of)
        return read_json(value)
    except InvalidValue as error:
        raise InvalidArguments(f"{what} is not JSON: {error}") from None
    except (ValueError, RecursionError) as error:
        hint = "Text in JSON stands in double quotes; put the whole in single quotes for the shell."
        raise InvalidArguments(f"{what} is not JSON: {error}", hint=hint) from None


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number that JSON has")


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return built


def with_defaults(given: Given, args: Sequence[Json], kwargs: Mapping[str, Json]) -> Given:
    """Add a task's own arguments: positional ones if none were given, named ones that were not."""
    own = Given.exact(args, kwargs)
    return Given(args=given.args or own.args, kwargs={**own.kwargs, **given.kwargs})


# Commands.


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The arguments of a command, as text; what a job of a command stores."""

    args: tuple[str, ...] = field(default=(), repr=False)
    kwargs: Mapping[str, str] = field(default_factory=dict, repr=False)


def texts(given: Given) -> Texts:
    """Give the arguments of a command as text.

    Exact text stays what it is; any other exact value becomes its JSON (``3``, ``true``, ``[1]``).
    Refused: strings that execve(2) cannot take, names that cannot name a variable or collide there.
    """
    args = tuple(_text_of(argument) for argument in given.args)
    kwargs = {name: _text_of(argument) for name, argument in given.kwargs.items()}
    build_env(args, kwargs)
    for text in args:
        _fits(text, "an argument")
    return Texts(args=args, kwargs=kwargs)


def _text_of(argument: Argument) -> str:
    if isinstance(argument, Typed):
        return argument.text
    if isinstance(argument.value, str):
        return argument.value
    return json.dumps(argument.value, ensure_ascii=False, separators=(",", ":"))


def _fits(text: str, what: str) -> None:
    if "\0" in text:
        raise InvalidArguments(f"{what} holds a NUL character, which no program can be given")
    try:
        size = len(os.fsencode(text))
    except UnicodeEncodeError:
        raise InvalidArguments(
            f"{what} holds half a character, which no program can be given"
        ) from None
    if size > LONGEST_STRING_BYTES:
        raise InvalidArguments(
            f"{what} has {size} bytes, the kernel takes {LONGEST_STRING_BYTES}",
            hint="Put the data into a file and give its name.",
        )


def placeholders(command: Sequence[str]) -> tuple[str, ...]:
    """Give the names and numbers that a command refers to, in order, each once; may be empty."""
    found = (_PLACEHOLDER.fullmatch(word) for word in command)
    return tuple(dict.fromkeys(match[1] for match in found if match))


def malformed_placeholders(command: Sequence[str]) -> tuple[int, ...]:
    """Give the positions of words that were meant as placeholders but count from 0."""
    return tuple(position for position, word in enumerate(command) if _ZERO.fullmatch(word))


def build_argv(command: Sequence[str], given: Texts) -> tuple[str, ...]:
    """Put arguments into a task's command.

    A word ``{1}`` or ``{name}`` is replaced whole, ``{{name}}`` gives ``{name}``, any other word stays
    as it is. Positional arguments that no placeholder took are appended in their order. Ad-hoc commands
    must not come here: they are no templates.
    """
    argv: list[str] = []
    used: set[int] = set()
    for word in command:
        found = _PLACEHOLDER.fullmatch(word)
        escaped = _ESCAPED.fullmatch(word)
        if escaped:
            argv.append(escaped[1])
        elif found is None:
            argv.append(word)
        elif found[1].isdecimal():
            position = int(found[1]) - 1
            if position >= len(given.args):
                _missing(found[1], f"Give at least {found[1]} positional arguments.")
            used.add(position)
            argv.append(given.args[position])
        elif found[1] in given.kwargs:
            argv.append(given.kwargs[found[1]])
        else:
            _missing(found[1], f"Add -k {found[1]}=VALUE.")
    argv.extend(text for position, text in enumerate(given.args) if position not in used)
    return tuple(argv)


def _missing(name: str, hint: str) -> NoReturn:
    raise InvalidArguments(f"the command needs the argument {{{name}}}", hint=hint)


def shell_argv(line: str, given: Texts) -> tuple[str, ...]:
    """Give the argv that runs a shell line; positional arguments are its ``"$1"`` and following."""
    return (SHELL, "-c", line, SHELL, *given.args)


def build_env(args: Sequence[str], kwargs: Mapping[str, str]) -> dict[str, str]:
    """Give all arguments as variables: ``JOBCTL_ARG_1`` …, ``JOBCTL_ARG_<NAME>``.

    A name is written in capitals with ``_`` for ``-``; two names that become the same are refused.
    """
    env = {f"JOBCTL_ARG_{number}": text for number, text in enumerate(args, start=1)}
    origin: dict[str, str] = {}
    for name, text in kwargs.items():
        if not _NAME.fullmatch(name):
            hint = "Letters, digits, _ and -, beginning with a letter or _."
            raise InvalidArguments(f"{shown(name)} cannot name an argument of a command", hint=hint)
        variable = f"JOBCTL_ARG_{name.upper().replace('-', '_')}"
        if variable in origin:
            message = f"the arguments {shown(origin[variable])} and {shown(name)} would both be {variable}"
            raise InvalidArguments(message, hint="Rename one of them.")
        origin[variable] = name
        env[variable] = text
    for variable, text in env.items():
        _fits(f"{variable}={text}", f"the variable {variable}")
    return env


# Functions.


@dataclass(frozen=True, kw_only=True)
class Call:
    """The arguments of a function, typed; what a job of a function stores."""

    args: tuple[Json, ...] = field(default=(), repr=False)
    kwargs: Mapping[str, Json] = field(default_factory=dict, repr=False)


def bind(parameters: Sequence[Parameter] | None, given: Given) -> Call:
    """Convert arguments for a function and check that it can be called with them.

    Typed text becomes what the parameter's annotation names; without one, text that is JSON is that
    value and any other is text. Exact values are taken as they are. ``parameters`` None means that the
    signature is not known (a builtin): then nothing is checked.
    """
    if parameters is None:
        return Call(
            args=tuple(_guess(argument) for argument in given.args),
            kwargs={name: _guess(argument) for name, argument in given.kwargs.items()},
        )
    places = [parameter for parameter in parameters if parameter.kind in _BY_POSITION]
    rest = next((p for p in parameters if p.kind is ParameterKind.VAR_POSITIONAL), None)
    if len(given.args) > len(places) and rest is None:
        taken = "no positional arguments" if not places else f"{len(places)} positional at most"
        message = f"{len(given.args)} positional arguments given, the function takes {taken}"
        raise InvalidArguments(message, hint=_signature_hint(parameters))
    args = []
    for position, argument in enumerate(given.args):
        parameter = places[position] if position < len(places) else rest
        assert parameter is not None
        args.append(
            _convert(argument, parameter.annotation, f"argument {position + 1} ({parameter.name})")
        )
    by_position = {parameter.name for parameter in places[: len(given.args)]}
    kwargs = _bind_names(parameters, by_position, given.kwargs)
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.kind not in (ParameterKind.VAR_POSITIONAL, ParameterKind.VAR_KEYWORD)
        and not parameter.has_default
        and parameter.name not in by_position
        and not (parameter.name in kwargs and parameter.kind is not ParameterKind.POSITIONAL_ONLY)
    ]
    if missing:
        names = ", ".join(shown(name) for name in missing)
        plural = "s" if len(missing) > 1 else ""
        raise InvalidArguments(
            f"the function needs the argument{plural} {names}", hint=_signature_hint(parameters)
        )
    return Call(args=tuple(args), kwargs=kwargs)


def takes(parameters: Sequence[Parameter] | None, args: Sequence[Json]) -> bool:
    """Whether a function can be called with these values by position, and with no names.

    What `bind` would say of exact values, without its errors and at a tenth of its price: that is paid for
    each job of a schedule, of which a hundred thousand may be due at once.
    """
    if parameters is None:
        return True
    left = len(args)
    for parameter in parameters:
        kind = parameter.kind
        if left and kind in _BY_POSITION:
            left -= 1
        elif kind is ParameterKind.VAR_POSITIONAL:
            left = 0
        elif kind is not ParameterKind.VAR_KEYWORD and not parameter.has_default:
            return False
    return not left


def _bind_names(
    parameters: Sequence[Parameter], by_position: set[str], named: Mapping[str, Argument]
) -> dict[str, Json]:
    by_name = {
        parameter.name: parameter
        for parameter in parameters
        if parameter.kind in (ParameterKind.EITHER, ParameterKind.KEYWORD_ONLY)
    }
    rest = next((p for p in parameters if p.kind is ParameterKind.VAR_KEYWORD), None)
    kwargs: dict[str, Json] = {}
    for name, argument in named.items():
        parameter = by_name.get(name, rest)
        if parameter is None:
            message = f"the function has no argument {shown(name)}"
            raise InvalidArguments(message, hint=_signature_hint(parameters))
        if name in by_name and name in by_position:
            message = f"the argument {shown(name)} is given by position and by name"
            raise InvalidArguments(message, hint="Give it once.")
        kwargs[name] = _convert(argument, parameter.annotation, f"argument {shown(name)}")
    return kwargs


def signature(parameters: Sequence[Parameter]) -> str:
    """Give parameters as a person writes them: ``(to: str, subject, *, copies: int = …)``."""
    words = []
    starred = False
    for position, parameter in enumerate(parameters):
        if parameter.kind is ParameterKind.KEYWORD_ONLY and not starred:
            words.append("*")
            starred = True
        stars = {ParameterKind.VAR_POSITIONAL: "*", ParameterKind.VAR_KEYWORD: "**"}.get(
            parameter.kind, ""
        )
        starred = starred or stars == "*"
        annotation = f": {parameter.annotation}" if parameter.annotation else ""
        words.append(
            f"{stars}{parameter.name}{annotation}{' = …' if parameter.has_default else ''}"
        )
        following = parameters[position + 1 : position + 2]
        if parameter.kind is ParameterKind.POSITIONAL_ONLY and not (
            following and following[0].kind is ParameterKind.POSITIONAL_ONLY
        ):
            words.append("/")
    return f"({', '.join(words)})"


def _signature_hint(parameters: Sequence[Parameter]) -> str:
    return f"Its arguments are {signature(parameters)}."


def _guess(argument: Argument) -> Json:
    if isinstance(argument, Exact):
        return argument.value
    try:
        return parse_json(argument.text, what="the argument")
    except InvalidArguments:
        return argument.text


def _convert(argument: Argument, annotation: str | None, what: str) -> Json:
    if isinstance(argument, Exact) or annotation is None:
        return _guess(argument)
    try:
        return _CONVERTERS[annotation](argument.text)
    except ValueError:
        kind = _KINDS[annotation]
        message = f"{what}: {shown(argument.text)} is not {kind}"
        raise InvalidArguments(message, hint=f"The function wants {kind} ({annotation}).") from None
    except InvalidArguments as error:
        raise InvalidArguments(f"{what}: {error.message}", hint=error.hint) from None


def _int_of(text: str) -> int:
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(text)
    return int(text)


def _float_of(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _bool_of(text: str) -> bool:
    truth = _TRUTH.get(text.strip().lower())
    if truth is None:
        raise ValueError(text)
    return truth


def _list_of(text: str) -> Json:
    value = parse_json(text, what="the value")
    if isinstance(value, list):
        return value
    raise ValueError(text)


def _dict_of(text: str) -> Json:
    value = parse_json(text, what="the value")
    if isinstance(value, dict):
        return value
    raise ValueError(text)


_CONVERTERS: Final[Mapping[str, Callable[[str], Json]]] = {
    "str": str,
    "int": _int_of,
    "float": _float_of,
    "bool": _bool_of,
    "list": _list_of,
    "dict": _dict_of,
}
_KINDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a JSON list",
    "dict": "a JSON object",
}
