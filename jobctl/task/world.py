"""What a command may be given beside its arguments, as the file writes it: variables, input, priority, limits.

The kinds of values (`jobctl.task.keys.Mark`) of those keys, and what they must not say together. Each
lower bound is what a small program needs to start at all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from jobctl.task.keys import ENVIRONMENT, TEXT, Json, Mark
from jobctl.task.units import Fault, InvalidValue, parse_size, parse_span, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIAL: Final = "credential:"
"""What a path begins with that names a credential of the service (systemd.exec(5), LoadCredential=)."""

IO_CLASSES: Final[Mapping[str, int]] = {"realtime": 1, "best-effort": 2, "idle": 3}
"""The classes of ioprio_set(2)."""

_IO_DEFAULT_LEVEL: Final = 4
_IONICE: Final = re.compile(r"(realtime|best-effort)(?::([0-7]))?|idle")
_GROUP: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?|[0-9]{1,10}")
_CREDENTIAL_NAME: Final = re.compile(r"[^/\0]{1,255}")
_LEAST_ADDRESS_SPACE: Final = 16 << 20
_LEAST_MEMORY: Final = 4 << 20
_MOST_INPUT_BYTES: Final = 1 << 20
_MOST_SECONDS: Final = 1 << 31


def io_priority(text: str) -> tuple[int, int]:
    """The class and the level (0 goes first, 7 last) of an ``ionice`` that was found right."""
    name, _, level = text.partition(":")
    if name == "idle":
        return IO_CLASSES[name], 0
    return IO_CLASSES[name], int(level or _IO_DEFAULT_LEVEL)


def _read_path(value: object) -> str:
    text: str = TEXT.read(value)
    if text.startswith(CREDENTIAL):
        name = text.removeprefix(CREDENTIAL)
        if not _CREDENTIAL_NAME.fullmatch(name) or name in (".", ".."):
            raise InvalidValue(
                f"{shown(text)} names no credential", hint='Write "credential:NAME".'
            )
        return text
    if not text.startswith("/"):
        hint = 'Write the path from the root, beginning with /, or "credential:NAME".'
        raise InvalidValue(f"{shown(text)} is not an absolute path", hint=hint)
    return text


def _read_env_files(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list | tuple) else [value]
    faults: list[Fault] = []
    read: list[str] = []
    for position, member in enumerate(listed):
        try:
            text: str = TEXT.read(member)
            mark = "-" if text.startswith("-") else ""
            read.append(mark + _read_path(text.removeprefix("-")))
        except InvalidValue as invalid:
            inside = (position,) if listed is value else ()
            faults.extend(fault.under(*inside) for fault in invalid.faults)
    if faults:
        raise InvalidValue(faults=tuple(faults))
    return tuple(read)


def _read_env_from_file(value: object) -> dict[str, str]:
    # The same names as in `env`; what stands behind them are paths.
    named = ENVIRONMENT.read(value)
    faults: list[Fault] = []
    read: dict[str, str] = {}
    for name, text in named.items():
        try:
            read[name] = _read_path(text)
        except InvalidValue as invalid:
            faults.extend(fault.under(name) for fault in invalid.faults)
    if faults:
        raise InvalidValue(faults=tuple(faults))
    return read


def _read_ionice(value: object) -> str:
    text: str = TEXT.read(value)
    if not _IONICE.fullmatch(text):
        hint = 'Write "idle", "best-effort:7" (0 goes first, 7 last) or "realtime:4".'
        raise InvalidValue(f"{shown(text)} is not an input and output priority", hint=hint)
    return text


def _read_group(value: object) -> str:
    text: str = TEXT.read(value)
    if not _GROUP.fullmatch(text):
        hint = "Write the name of a group of this host, or a gid in quotes."
        raise InvalidValue(f"{shown(text)} is not a group", hint=hint)
    return text


def _read_input(value: object) -> str:
    text: str = TEXT.read(value)
    if len(text.encode(errors="surrogateescape")) > _MOST_INPUT_BYTES:
        hint = "Put it into a file, and write stdin_file."
        raise InvalidValue("the input is longer than 1 MiB", hint=hint)
    return text


def _read_address_space(value: object) -> int:
    size = parse_size(value)
    if size < _LEAST_ADDRESS_SPACE:
        raise InvalidValue(
            f"{shown(value)} is too little for any program to start", hint='At least "16MiB".'
        )
    return size


def _read_memory(value: object) -> int:
    size = parse_size(value)
    if size < _LEAST_MEMORY:
        raise InvalidValue(
            f"{shown(value)} is too little for any program to start", hint='At least "4MiB".'
        )
    return size


def _read_cpu_time(value: object) -> float:
    span_s = parse_span(value)
    if not 1 <= span_s <= _MOST_SECONDS or span_s != int(span_s):
        hint = "The kernel counts whole seconds here: at least 1s."
        raise InvalidValue(f"{shown(value)} is not a limit of processor time", hint=hint)
    return span_s


def _same(value: Any) -> Json:
    written: Json = value
    return written


def _list(value: tuple[str, ...]) -> Json:
    return list(value)


def _table(value: Mapping[str, str]) -> Json:
    return dict(value)


ENV_FILES: Final = Mark(
    word="path or list of paths",
    read=_read_env_files,
    write=_list,
    schema={"type": ["string", "array"], "items": {"type": "string"}},
)
ENV_FROM_FILE: Final = Mark(
    word="table of paths",
    read=_read_env_from_file,
    write=_table,
    schema={"type": "object", "additionalProperties": {"type": "string"}},
)
IONICE: Final = Mark(
    word='`"idle"` \\| `"best-effort:0"` to `"best-effort:7"` \\| `"realtime:0"` to `"realtime:7"`',
    read=_read_ionice,
    write=_same,
    schema={"type": "string", "examples": ["idle", "best-effort:7"]},
)
GROUP: Final = Mark(
    word="group name or gid", read=_read_group, write=_same, schema={"type": "string"}
)
INPUT: Final = Mark(word="text", read=_read_input, write=_same, schema={"type": "string"})
ADDRESS_SPACE: Final = Mark(
    word="size",
    read=_read_address_space,
    write=_same,
    schema={"type": ["string", "integer"], "examples": ["2GiB"]},
    unit="bytes",
)
MEMORY: Final = Mark(
    word="size",
    read=_read_memory,
    write=_same,
    schema={"type": ["string", "integer"], "examples": ["512MiB"]},
    unit="bytes",
)
CPU_TIME: Final = Mark(
    word="span",
    read=_read_cpu_time,
    write=_same,
    schema={"type": ["string", "number"], "examples": ["10m"]},
    unit="seconds",
)
PATH: Final = Mark(
    word="path or `credential:NAME`", read=_read_path, write=_same, schema={"type": "string"}
)


def world_faults(values: Mapping[str, Any]) -> tuple[Fault, ...]:
    """Judge these keys of a task against each other; ``values`` are by field, only those written."""
    faults = []
    if values.get("stdin") and values.get("stdin_file") is not None:
        message = "stdin and stdin_file are both set"
        faults.append(
            Fault(path=("stdin_file",), message=message, hint="Keep one of them.", on_key=True)
        )
    for name in values.get("env_from_file") or ():
        if name in (values.get("env") or ()):
            message = f"{name} is set in env and in env_from_file"
            hint = "Keep one of them."
            faults.append(
                Fault(path=("env_from_file", name), message=message, hint=hint, on_key=True)
            )
    if values.get("max_processes") is not None and values.get("user") in ("root", "0"):
        message = "max_processes does not bind root"
        hint = "Run the command as another user."
        faults.append(Fault(path=("max_processes",), message=message, hint=hint, on_key=True))
    return tuple(faults)
