"""What one key of the configuration is, said once, at the field it fills.

A field of `jobctl.task.Task`, and of the types in `jobctl.plan`, carries a `Key` in its metadata: the
name that people write, how the value is read, checked and written, its unit and its help. Everything
else follows from that: reading the file, reading the options of ``@task``, the JSON between
processes, the JSON Schema for editors and the reference page. Reading here needs nothing but the
standard library, because the daemon and templates in foreign environments do it too; the configuration
child judges whole files by the same `Mark`.

The JSON shape of a value is the shape of its table in the file, so a value that was written with
`write_values` is read back by `read_values`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jobctl.task.units import (
    Fault,
    InvalidValue,
    Rate,
    parse_rate,
    parse_size,
    parse_span,
    shown,
)
from jobctl.values import dataclass

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

NAME_PATTERN: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}"
_NAME: Final = re.compile(NAME_PATTERN)
_MOST_NEAR: Final = 1000
"""Words among which a similar one is looked for: that takes some 40 µs for each, while a daemon waits."""
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?|[0-9]{1,10}")
_PERSON: Final = re.compile(rf"@?({_USER.pattern})")
_FUNCTION: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_MODULE: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_UMASK: Final = re.compile(r"0?[0-7]{3}")
_DEEPEST_JSON: Final = 100
_LONGEST_INT_BITS: Final = 13_280  # 4000 digits


@dataclass(frozen=True, kw_only=True, eq=False)
class Mark:
    """A kind of value: ``read`` turns what was written into the value or raises `InvalidValue`,
    ``write`` turns the value into JSON that ``read`` takes, ``schema`` is its JSON Schema,
    ``word`` what the reference page calls it, ``unit`` what a bare number means."""

    word: str
    read: Callable[[object], Any]
    write: Callable[[Any], Json]
    schema: Mapping[str, Json]
    unit: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Key:
    """One key of a table: its name in the file, its kind, its help. ``default_text`` is told when the
    default is found out at run time; ``commands_only`` when a function cannot keep it, ``functions_only`` when
    a command cannot; ``not_in`` are the pools of function workers that cannot."""

    name: str
    mark: Mark
    help: str
    default_text: str = ""
    commands_only: bool = False
    functions_only: bool = False
    not_in: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundKey:
    """A key with the field that it fills."""

    key: Key
    field: str
    required: bool
    default: object


def key(
    name: str,
    mark: Mark,
    help: str,
    *,
    default_text: str = "",
    commands_only: bool = False,
    functions_only: bool = False,
    not_in: tuple[str, ...] = (),
) -> Mapping[str, Key]:
    """Give the metadata of a field: ``x: int = field(default=1, metadata=key("x", WHOLE, "…"))``."""
    described = Key(
        name=name,
        mark=mark,
        help=help,
        default_text=default_text,
        commands_only=commands_only,
        functions_only=functions_only,
        not_in=not_in,
    )
    return {"key": described}


def keys_of(table: type[DataclassInstance]) -> Mapping[str, BoundKey]:
    """Give the keys of a type by their name in the file, in the order of its fields.

    Fields without a `Key` (a name, a source) are not keys and are left out.
    """
    return _keys_of(table)


@functools.cache
def _keys_of(table: Any) -> Mapping[str, BoundKey]:
    found = {}
    for field in dataclasses.fields(table):
        described = field.metadata.get("key")
        if isinstance(described, Key):
            required = (
                field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            )
            default = None if required else field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            found[described.name] = BoundKey(
                key=described, field=field.name, required=required, default=default
            )
    return found


def read_values(keys: Mapping[str, BoundKey], written: Mapping[str, object]) -> dict[str, Any]:
    """Read a table as it was written; gives values by the name of their **field**, only those written.

    ``null`` counts as not written. Raises `InvalidValue` with every fault: unknown keys, missing keys,
    values that cannot be read.
    """
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, value in written.items():
        bound = keys.get(name)
        if bound is None:
            faults.append(unknown_key(name, keys))
        elif value is not None:
            try:
                values[bound.field] = bound.key.mark.read(value)
            except InvalidValue as invalid:
                faults.extend(fault.under(name) for fault in invalid.faults)
    faults.extend(
        missing_key(bound)
        for name, bound in keys.items()
        if bound.required and written.get(name) is None
    )
    if faults:
        raise InvalidValue(faults=tuple(faults))
    return values


def write_values(value: DataclassInstance, *, brief: bool = False) -> dict[str, Json]:
    """Give a value as JSON by the names of its keys. Keys whose value is None are left out.

    ``brief`` also leaves out those that have their default: shorter and quicker to read, for a reader
    of the same version on the same host.
    """
    keys = keys_of(type(value))
    values = {bound.field: getattr(value, bound.field) for bound in keys.values()}
    if brief:
        for bound in keys.values():
            if not bound.required and values[bound.field] == bound.default:
                del values[bound.field]
    return write_some(keys, values)


def write_some(keys: Mapping[str, BoundKey], values: Mapping[str, Any]) -> dict[str, Json]:
    """Give values by field, as `read_values` gave them, as JSON by the names of their keys."""
    return {
        name: bound.key.mark.write(values[bound.field])
        for name, bound in keys.items()
        if values.get(bound.field) is not None
    }


def missing_key(bound: BoundKey) -> Fault:
    """Give the fault of a key that must be written and is not."""
    return Fault(message=f'the key "{bound.key.name}" is missing', hint=bound.key.help)


def unknown_key(name: str, known: Sequence[str] | Mapping[str, object]) -> Fault:
    """Give the fault of a key that does not exist, with the nearest one that does."""
    near = nearest(name, tuple(known))
    hint = f'Did you mean "{near}"?' if near else f"Known keys: {', '.join(sorted(known))}."
    return Fault(path=(name,), message=f"unknown key {shown(name)}", hint=hint, on_key=True)


def nearest(word: str, known: Sequence[str]) -> str:
    """Give the known word that was probably meant, or an empty text: also when there are too many of them."""
    if len(known) > _MOST_NEAR:
        return ""
    # Imported where it is needed: it is only ever needed on the way to an error.
    import difflib

    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not found:
        alike = word.lower().replace("-", "_")
        found = difflib.get_close_matches(alike, known, n=1, cutoff=0.6)
    return found[0] if found else ""


# Kinds of values. Each read function gives the value or raises InvalidValue.


def _same(value: Any) -> Json:
    written: Json = value
    return written


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"{shown(value)} is not text", hint="Put it in quotes.")
    if "\0" in value:
        raise InvalidValue("the text holds a NUL character, which no program can be given")
    return value


def _read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue(
            f"{shown(value)} is not true or false", hint="Write true or false, without quotes."
        )
    return value


def _text_that(pattern: re.Pattern[str], what: str, hint: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        text = _read_text(value)
        if not pattern.fullmatch(text):
            raise InvalidValue(f"{shown(text)} is not {what}", hint=hint)
        return text

    return read


def _read_folder(value: object) -> str:
    text = _read_text(value)
    if not text.startswith("/"):
        raise InvalidValue(
            f"{shown(text)} is not an absolute path",
            hint="Write the path from the root, beginning with /.",
        )
    return text


def _read_zone(value: object) -> str:
    text = _read_text(value)
    # What zoneinfo would look up outside its folder is refused here; whether the zone exists is
    # judged where the zone data is at hand.
    if not text or text.startswith("/") or ".." in text.split("/"):
        raise InvalidValue(
            f"{shown(text)} is not a time zone", hint='Write a zone as "Europe/Berlin" or "UTC".'
        )
    return text


def _read_umask(value: object) -> int:
    if not isinstance(value, str) or not _UMASK.fullmatch(value):
        raise InvalidValue(f"{shown(value)} is not a umask", hint='Write it as octal text: "022".')
    return int(value, 8)


def _read_growth(value: object) -> float:
    if isinstance(value, bool):
        return 2.0 if value else 0.0
    if not isinstance(value, int | float) or not (value == 0 or 1 <= value <= 1000):
        hint = "Write true (doubles each time), false, or a factor from 1 to 1000."
        raise InvalidValue(f"{shown(value)} is not a backoff", hint=hint)
    return float(value)


def _read_load(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1_000_000:
        raise InvalidValue(
            f"{shown(value)} is not a load", hint="Write a number such as 4 or 0.5, without quotes."
        )
    return float(value)


def _read_degrees(limit: int) -> Callable[[object], float]:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= limit:
            raise InvalidValue(
                f"{shown(value)} is not a number of degrees", hint=f"From -{limit} to {limit}."
            )
        return float(value)

    return read


def read_json(value: object) -> Json:
    """Read a value that must be JSON: finite numbers, text keys, no dates. Raises `InvalidValue`."""
    faults: list[Fault] = []
    _judge_json(value, (), faults)
    if faults:
        raise InvalidValue(faults=tuple(faults))
    return _as_json(value)


def _judge_json(value: object, path: tuple[str | int, ...], faults: list[Fault]) -> None:
    if len(path) > _DEEPEST_JSON:
        faults.append(Fault(message=f"the value is nested deeper than {_DEEPEST_JSON} levels"))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(name, str):
                _judge_json(inner, (*path, name), faults)
            else:
                faults.append(
                    Fault(
                        path=path,
                        message=f"{shown(name)} is not text, and JSON has only text as keys",
                    )
                )
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            _judge_json(inner, (*path, position), faults)
    elif (
        isinstance(value, int)
        and not isinstance(value, bool)
        and value.bit_length() > _LONGEST_INT_BITS
    ):
        # Python would neither write nor read it as text.
        faults.append(Fault(path=path, message="the number has more than four thousand digits"))
    elif isinstance(value, float) and not math.isfinite(value):
        faults.append(Fault(path=path, message=f"{value} is not a number that JSON has"))
    elif value is not None and not isinstance(value, bool | int | float | str):
        hint = (
            "Arguments are JSON: text, numbers, true, false, lists, tables. Write a date as text."
        )
        faults.append(Fault(path=path, message=f"{shown(value)} is not a JSON value", hint=hint))


def _as_json(value: Any) -> Json:
    if isinstance(value, Mapping):
        return {name: _as_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(inner) for inner in value]
    plain: Json = value
    return plain


def whole(low: int, high: int, *, unit: str = "", word: str = "") -> Mark:
    """A whole number from ``low`` to ``high``, both included."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidValue(
                f"{shown(value)} is not a whole number",
                hint=f"Write a number from {low} to {high}.",
            )
        if not low <= value <= high:
            raise InvalidValue(
                f"{shown(value)} is out of range", hint=f"Write a number from {low} to {high}."
            )
        return value

    schema: dict[str, Json] = {"type": "integer", "minimum": low, "maximum": high}
    word = word or f"whole number, {low} to {high}"
    return Mark(word=word, read=read, write=_same, schema=schema, unit=unit)


def choice(*words: str) -> Mark:
    """One of some words."""

    def read(value: object) -> str:
        if value in words and isinstance(value, str):
            return value
        near = nearest(value, words) if isinstance(value, str) else ""
        known = ", ".join(f'"{word}"' for word in words)
        raise InvalidValue(
            f"{shown(value)} is not one of {known}",
            hint=f'Did you mean "{near}"?' if near else f"Write one of {known}.",
        )

    word = " \\| ".join(f'`"{word}"`' for word in words)
    return Mark(word=word, read=read, write=_same, schema={"enum": list(words)})


def list_of(inner: Mark, *, at_least: int = 0, distinct: bool = False, hint: str = "") -> Mark:
    """A list; the value is a tuple. ``hint`` is told when it is no list at all."""

    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise InvalidValue(
                f"{shown(value)} is not a list", hint=hint or f"Write a list: [{shown(value)}]."
            )
        values: list[Any] = []
        faults: list[Fault] = []
        for position, member in enumerate(value):
            try:
                values.append(inner.read(member))
            except InvalidValue as invalid:
                faults.extend(fault.under(position) for fault in invalid.faults)
        if len(value) < at_least:
            faults.append(Fault(message="the list is empty", hint=hint))
        if distinct:
            twice = [
                position for position, member in enumerate(values) if member in values[:position]
            ]
            faults.extend(
                Fault(path=(position,), message=f"{shown(values[position])} stands twice")
                for position in twice
            )
        if faults:
            raise InvalidValue(faults=tuple(faults))
        return tuple(values)

    def write(value: tuple[Any, ...]) -> Json:
        return [inner.write(member) for member in value]

    schema: dict[str, Json] = {"type": "array", "items": dict(inner.schema)}
    if at_least:
        schema["minItems"] = at_least
    return Mark(word=f"list of {inner.word}", read=read, write=write, schema=schema)


def _read_environment(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InvalidValue(
            f"{shown(value)} is not a table", hint='Write a table: { LANG = "C.UTF-8" }.'
        )
    faults: list[Fault] = []
    for name, text in value.items():
        if not isinstance(name, str) or not _ENV_NAME.fullmatch(name):
            hint = "Letters, digits and _, not beginning with a digit."
            message = f"{shown(name)} cannot name a variable"
            faults.append(Fault(path=(str(name),), message=message, hint=hint, on_key=True))
        elif name.startswith("JOBCTL_"):
            message = f"{name} cannot be set: names that begin with JOBCTL_ are given by jobctl"
            advice = "Choose another name."
            faults.append(Fault(path=(name,), message=message, hint=advice, on_key=True))
        elif not isinstance(text, str) or "\0" in text:
            hint = "Put it in quotes."
            faults.append(
                Fault(
                    path=(name,), message=f"the value of {name} is not text without NUL", hint=hint
                )
            )
    if faults:
        raise InvalidValue(faults=tuple(faults))
    return dict(value)


def _read_kwargs(value: object) -> dict[str, Json]:
    if not isinstance(value, Mapping):
        raise InvalidValue(
            f"{shown(value)} is not a table", hint='Write a table: { scope = "month" }.'
        )
    read = read_json(value)
    assert isinstance(read, dict)
    return read


def _read_args(value: object) -> tuple[Json, ...]:
    if not isinstance(value, list | tuple):
        raise InvalidValue(f"{shown(value)} is not a list", hint=f"Write a list: [{shown(value)}].")
    read = read_json(value)
    assert isinstance(read, list)
    return tuple(read)


def _span(*, zero: bool) -> Mark:
    def read(value: object) -> float:
        seconds = parse_span(value)
        if not zero and seconds == 0:
            raise InvalidValue(
                "a span of zero does not make sense here", hint="Leave the key out for no limit."
            )
        return seconds

    schema: dict[str, Json] = {"type": ["string", "number"], "examples": ["30s", "1h30m"]}
    return Mark(word="span", read=read, write=_same, schema=schema, unit="seconds")


def _write_environment(value: Mapping[str, str]) -> Json:
    return dict(value)


def _write_umask(value: int) -> Json:
    return f"{value:03o}"


def _write_rate(value: Rate) -> Json:
    return str(value)


_TEXT_SCHEMA: Final[dict[str, Json]] = {"type": "string"}
_NAME_SCHEMA: Final[dict[str, Json]] = {"type": "string", "pattern": f"^{NAME_PATTERN}$"}
_NAME_HINT: Final = (
    "Letters, digits, _, . and -, at most 200, beginning with a letter, a digit or _."
)

TEXT: Final = Mark(word="text", read=_read_text, write=_same, schema=_TEXT_SCHEMA)
FLAG: Final = Mark(word="true or false", read=_read_flag, write=_same, schema={"type": "boolean"})
NAME: Final = Mark(
    word="name", read=_text_that(_NAME, "a name", _NAME_HINT), write=_same, schema=_NAME_SCHEMA
)
SPAN: Final = _span(zero=True)
POSITIVE_SPAN: Final = _span(zero=False)
SIZE: Final = Mark(
    word="size",
    read=parse_size,
    write=_same,
    schema={"type": ["string", "integer"], "examples": ["64MiB"]},
    unit="bytes",
)
RATE: Final = Mark(
    word="rate",
    read=parse_rate,
    write=_write_rate,
    schema={"type": "string", "examples": ["10/s", "30/m"]},
)
FOLDER: Final = Mark(
    word="absolute path", read=_read_folder, write=_same, schema={"type": "string", "pattern": "^/"}
)
ZONE: Final = Mark(
    word="time zone",
    read=_read_zone,
    write=_same,
    schema={"type": "string", "examples": ["Europe/Berlin", "UTC"]},
)
UMASK: Final = Mark(
    word="octal text",
    read=_read_umask,
    write=_write_umask,
    schema={"type": "string", "pattern": "^0?[0-7]{3}$"},
)
GROWTH: Final = Mark(
    word="true, false or a factor",
    read=_read_growth,
    write=_same,
    schema={"type": ["boolean", "number"]},
)
USER: Final = Mark(
    word="user name or uid",
    read=_text_that(_USER, "a user", "Write the name of a user of this host, or a uid in quotes."),
    write=_same,
    schema=_TEXT_SCHEMA,
)
PERSON: Final = Mark(
    word="user name, uid, or `@group`",
    read=_text_that(
        _PERSON, "a user or a group", 'Write "alice" for a user, "@operators" for a group.'
    ),
    write=_same,
    schema=_TEXT_SCHEMA,
)
FUNCTION: Final = Mark(
    word='`"package.module:function"`',
    read=_text_that(_FUNCTION, "a function", 'Write it as "package.module:function".'),
    write=_same,
    schema={"type": "string", "pattern": "^[^:]+:[^:]+$"},
)
MODULE: Final = Mark(
    word="module",
    read=_text_that(
        _MODULE, "a module", 'Write it as "package.module", as an import statement would.'
    ),
    write=_same,
    schema=_TEXT_SCHEMA,
)
LOAD: Final = Mark(
    word="number above 0",
    read=_read_load,
    write=_same,
    schema={"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000},
)
LATITUDE: Final = Mark(
    word="degrees",
    read=_read_degrees(90),
    write=_same,
    schema={"type": "number", "minimum": -90, "maximum": 90},
)
LONGITUDE: Final = Mark(
    word="degrees",
    read=_read_degrees(180),
    write=_same,
    schema={"type": "number", "minimum": -180, "maximum": 180},
)
ENVIRONMENT: Final = Mark(
    word="table of text",
    read=_read_environment,
    write=_write_environment,
    schema={"type": "object", "additionalProperties": {"type": "string"}},
)
ARGS: Final = Mark(
    word="list of JSON values", read=_read_args, write=_as_json, schema={"type": "array"}
)
KWARGS: Final = Mark(
    word="table of JSON values", read=_read_kwargs, write=_as_json, schema={"type": "object"}
)
