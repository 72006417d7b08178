"""What Django's settings say about jobctl: names that begin with ``JOBCTL_``, and no others.

What jobs may do and how many run stands in the daemon's file, which an administrator can change; here stands
what the application has to know itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from jobctl.errors import UsageError
from jobctl.task.keys import nearest
from jobctl.task.units import shown
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX: Final = "JOBCTL_"


class SettingError(UsageError):
    """A setting of Django that jobctl cannot take."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings by their names without ``JOBCTL_``, in small letters.

    Attributes:
        socket: where the daemon listens; the environment's JOBCTL_SOCKET goes before.
        patience_s: how long a call waits for a daemon that is being restarted; None: as `configure` has it.
        config: the daemon's file, for ``manage.py jobctl``; the environment's JOBCTL_CONFIG goes before.
        state_dir: of the daemon, for the file that ``manage.py jobctl_config`` writes.
        always_eager: jobs are made in place, at once, without a daemon.
        eager_propagates: what such a job raises is raised to its caller.
        tasks_module: the module of each application that has its tasks.
        tasks_of: the applications in which it is looked for, by the names of their packages; None: in all.
        schedules: tables as in ``[schedules.X]``, by name. ``timezone`` is Django's ``TIME_ZONE`` unless said.
    """

    socket: Path | None = None
    patience_s: float | None = None
    config: Path | None = None
    state_dir: Path | None = None
    always_eager: bool = False
    eager_propagates: bool = False
    tasks_module: str = "tasks"
    tasks_of: tuple[str, ...] | None = None
    schedules: Mapping[str, Mapping[str, Any]]


def read_settings(source: object) -> Settings:
    """Read what a module of settings, or Django's own object, says. Raises SettingError."""
    given = {name: getattr(source, name) for name in dir(source) if name.startswith(PREFIX)}
    known = {PREFIX + name.upper(): name for name in _READ}
    values: dict[str, Any] = {"schedules": {}}
    for name, value in given.items():
        if name not in known:
            near = nearest(name.removeprefix(PREFIX).lower(), tuple(_READ))
            hint = (
                f"Did you mean {PREFIX}{near.upper()}?"
                if near
                else f"Known ones: {', '.join(sorted(known))}."
            )
            raise SettingError(f"{name} is no setting of jobctl", hint=hint)
        wanted, read = _READ[known[name]]
        if value is None:
            continue
        found = read(value)
        if found is None:
            raise SettingError(f"the setting {name} is {wanted}, not {shown(value)}")
        values[known[name]] = found
    return Settings(**values)


def _path(value: object) -> Path | None:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        return None
    path = Path(os.fsdecode(value))
    return path if path.is_absolute() else None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < float("inf") else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _module(value: object) -> str | None:
    return value if isinstance(value, str) and value.replace(".", "_").isidentifier() else None


def _names(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, (list, tuple)):
        return None
    named = cast("list[object] | tuple[object, ...]", value)
    names = tuple(name for name in named if isinstance(name, str))
    return names if len(names) == len(named) else None


def _tables(value: object) -> Mapping[str, Mapping[str, Any]] | None:
    if not isinstance(value, Mapping):
        return None
    tables = cast("Mapping[object, object]", value)
    if not all(isinstance(n, str) and isinstance(t, Mapping) for n, t in tables.items()):
        return None
    return cast("Mapping[str, Mapping[str, Any]]", tables)


_READ: Final[dict[str, tuple[str, Callable[[object], Any]]]] = {
    "socket": ("an absolute path", _path),
    "patience_s": ("a number of seconds", _seconds),
    "config": ("an absolute path", _path),
    "state_dir": ("an absolute path", _path),
    "always_eager": ("True or False", _flag),
    "eager_propagates": ("True or False", _flag),
    "tasks_module": ("the name of a module", _module),
    "tasks_of": ("a list of applications", _names),
    "schedules": ('a dictionary of tables: {"nightly": {"task": …, "cron": …}}', _tables),
}
