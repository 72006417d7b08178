"""Reads a beat schedule, or a whole application, in its own environment, and prints it as JSON.

Run as a file by the application's own Python, which may know neither jobctl nor this version of Python's
library of today: standard library only, no import of jobctl. Celery itself is never imported here: what
the application made of it is judged by its looks. Answers one JSON document on standard output:

``entries``: a list of ``name``, ``task``, ``schedule`` (``kind`` and what belongs to it), ``args``,
``kwargs``, ``options``, ``relative``, ``function`` (``module:name`` of what the task runs, or None),
``is_bound``, ``faults`` (what cannot be told in JSON); ``timezone``: a name, or None for the host's;
``error``: ``message`` and ``hint``, instead of all that.

Of a whole application (``app`` in place of ``beat``): ``module``, where the application was found;
``settings``, by the names that somebody has given them, with values as JSON (``None`` for what may hold a
secret, a text for what is no JSON); ``tasks``, a list of ``name``, ``serializer``, ``rate_limit``,
``acks_late``, ``reject_on_worker_lost``, ``overrides`` (methods of the application's own task class).

What the application prints meanwhile goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from datetime import datetime, timedelta
from typing import Any

_NAMES_OF_APP = ("app", "celery", "celery_app")
_NAMES_OF_SETTING = (
    "beat_schedule",
    "CELERYBEAT_SCHEDULE",
    "CELERY_BEAT_SCHEDULE",
)
_NAMES_OF_ZONE = ("timezone", "CELERY_TIMEZONE")
_NAMES_OF_UTC = ("enable_utc", "CELERY_ENABLE_UTC")
_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


class CannotRead(Exception):
    """There is no schedule where one was named."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def read(place: str) -> dict[str, Any]:
    """The schedule at ``MODULE`` or ``MODULE:ATTR``, in the shape of the module's docstring."""
    module, attribute = _import(place)
    found = _find(module, attribute)
    if _is_app(found):
        return _of_app(found)
    if isinstance(found, dict) and not any(name in found for name in _NAMES_OF_SETTING):
        return {"timezone": "UTC", "entries": _entries(found, {})}
    settings = found if isinstance(found, dict) else vars(found)
    schedule = _first(settings, _NAMES_OF_SETTING)
    if not isinstance(schedule, dict):
        names = ", ".join(_NAMES_OF_SETTING)
        raise CannotRead(
            f"{place} holds no beat schedule",
            f"Name the Celery application (proj.celery:app), or settings with one of {names}.",
        )
    zone = _first(settings, _NAMES_OF_ZONE)
    is_utc = _first(settings, _NAMES_OF_UTC)
    if zone is None and is_utc is not False:
        zone = "UTC"
    return {"timezone": None if zone is None else str(zone), "entries": _entries(schedule, {})}


_OWN_METHODS = ("__call__", "apply_async", "delay", "retry", "send_events")
_SECRET = ("url", "backend", "password", "secret", "token", "key", "options")


def read_app(place: str) -> dict[str, Any]:
    """The settings and tasks at ``MODULE`` or ``MODULE:ATTR``, in the shape of the module's docstring."""
    module, attribute = _import(place)
    found = _find(module, attribute)
    tasks: list[dict[str, Any]] = []
    if _is_app(found):
        found.loader.import_default_modules()
        found.finalize()
        table = dict(found.conf.table(with_defaults=False, censored=True))
        settings = _of_namespace(table, getattr(found, "namespace", None))
        names = sorted(name for name in found.tasks if not name.startswith("celery."))
        tasks = [_task(name, found.tasks[name]) for name in names]
    else:
        settings = dict(found) if isinstance(found, dict) else dict(vars(found))
    return {
        "module": module.__name__,
        "settings": {
            str(name): _told(str(name), value)
            for name, value in settings.items()
            if not str(name).startswith("_")
        },
        "tasks": tasks,
    }


def _of_namespace(table: dict[str, Any], namespace: Any) -> dict[str, Any]:
    """Without what is said to others: Django's settings hold everybody's."""
    if not namespace:
        return table
    prefix = f"{namespace}_"
    return {
        name if prefix == "CELERY_" else name.removeprefix(prefix).lower(): value
        for name, value in table.items()
        if name.startswith(prefix) or name.islower()
    }


def _task(name: str, task: Any) -> dict[str, Any]:
    own = [
        method
        for kind in type(task).__mro__
        if not kind.__module__.startswith(("celery.", "builtins"))
        for method in _OWN_METHODS
        if method in vars(kind)
    ]
    return {
        "name": name,
        "serializer": _option(getattr(task, "serializer", None)),
        "rate_limit": _option(getattr(task, "rate_limit", None)),
        "acks_late": bool(getattr(task, "acks_late", False)),
        "reject_on_worker_lost": bool(getattr(task, "reject_on_worker_lost", False)),
        "overrides": sorted(set(own)),
    }


def _told(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in _SECRET):
        return None
    if isinstance(value, dict):
        return {str(key): _told(str(key), inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_told("", inner) for inner in value]
    return _option(value)


def _import(place: str) -> tuple[Any, str]:
    module_name, _, attribute = place.partition(":")
    try:
        return importlib.import_module(module_name), attribute
    except Exception as error:  # noqa: BLE001 -- anything may come out of somebody else's module
        message = f"{module_name} cannot be imported: {type(error).__name__}: {error}"
        hint = "Name the application's interpreter with --python and its folder with --pythonpath."
        raise CannotRead(message, hint) from None


def _find(module: Any, attribute: str) -> Any:
    if attribute:
        found = module
        for part in attribute.split("."):
            if not hasattr(found, part):
                raise CannotRead(
                    f"{module.__name__} has no {attribute}",
                    "Name the Celery application (proj.celery:app), or a module of settings.",
                )
            found = getattr(found, part)
        return found
    for name in _NAMES_OF_APP:
        if _is_app(getattr(module, name, None)):
            return getattr(module, name)
    return module


def _is_app(found: Any) -> bool:
    return all(hasattr(found, name) for name in ("conf", "tasks", "loader", "finalize"))


def _of_app(app: Any) -> dict[str, Any]:
    # As `celery beat` does before it looks: schedules are also declared by handlers of these steps.
    app.loader.import_default_modules()
    app.finalize()
    zone = app.timezone
    # A zone of zoneinfo or pytz has its name in one of these; datetime's UTC says it itself.
    name = getattr(zone, "key", None) or getattr(zone, "zone", None) or str(zone)
    is_host = app.conf.timezone is None and not app.conf.enable_utc
    return {
        "timezone": None if is_host else str(name),
        "entries": _entries(app.conf.beat_schedule or {}, app.tasks),
    }


def _first(settings: Any, names: tuple[str, ...]) -> Any:
    return next((settings[name] for name in names if settings.get(name) is not None), None)


def _entries(schedule: Any, tasks: Any) -> list[dict[str, Any]]:
    return [_entry(str(name), dict(entry), tasks) for name, entry in schedule.items()]


def _entry(name: str, entry: dict[str, Any], tasks: Any) -> dict[str, Any]:
    faults: list[str] = []
    task = str(entry.get("task"))
    found = tasks.get(task) if hasattr(tasks, "get") else None
    return {
        "name": name,
        "task": task,
        "schedule": _schedule(entry.get("schedule")),
        "args": _plain(entry.get("args") or (), "args", faults),
        "kwargs": _plain(entry.get("kwargs") or {}, "kwargs", faults),
        "options": {
            str(key): _option(value) for key, value in (entry.get("options") or {}).items()
        },
        "relative": bool(entry.get("relative", False)),
        "function": _function(task, found),
        "is_bound": _is_bound(found),
        "faults": faults,
    }


def _plain(value: Any, what: str, faults: list[str]) -> Any:
    """The value as JSON has it; else a fault, and nothing of it."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        faults.append(f"{what}: {error}")
        return None
    return json.loads(text)


def _option(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    # A queue or an exchange of kombu.
    return str(getattr(value, "name", None) or repr(value))


def _schedule(schedule: Any) -> dict[str, Any]:
    """What an entry's ``schedule`` is: a number, a span, or an object that looks like one of Celery's."""
    if isinstance(schedule, (int, float)) and not isinstance(schedule, bool):
        return {"kind": "interval", "seconds": float(schedule)}
    if isinstance(schedule, timedelta):
        return {"kind": "interval", "seconds": schedule.total_seconds()}
    if all(hasattr(schedule, f"_orig_{field}") for field in _FIELDS):
        return {
            "kind": "crontab",
            "written": {field: _written(getattr(schedule, f"_orig_{field}")) for field in _FIELDS},
            "means": {
                field: sorted(int(value) for value in getattr(schedule, field)) for field in _FIELDS
            },
            "type": type(schedule).__name__,
        }
    if all(hasattr(schedule, name) for name in ("event", "lat", "lon")):
        return {
            "kind": "solar",
            "event": str(schedule.event),
            "latitude": float(schedule.lat),
            "longitude": float(schedule.lon),
        }
    if isinstance(getattr(schedule, "run_every", None), timedelta):
        return {"kind": "interval", "seconds": schedule.run_every.total_seconds()}
    return {"kind": "unknown", "type": type(schedule).__name__}


def _written(field: Any) -> str:
    if isinstance(field, (str, int)):
        return str(field).replace(" ", "")
    return ",".join(str(value) for value in sorted(field))


def _function(name: str, task: Any) -> str | None:
    """Where the application has what a task runs: ``module:name``."""
    module_name, _, attribute = name.rpartition(".")
    if task is not None:
        module_name = getattr(task, "__module__", module_name)
        attribute = getattr(task, "__name__", attribute)
    if not module_name or not attribute:
        return None
    try:
        module = importlib.import_module(module_name)
    except Exception:  # noqa: BLE001 -- it is somebody else's module; then the task is not found
        return None
    return f"{module_name}:{attribute}" if callable(getattr(module, attribute, None)) else None


def _is_bound(task: Any) -> bool:
    """The task's function is given the task itself first (``bind=True``)."""
    # For the others Celery keeps the function as a static method.
    return task is not None and hasattr(getattr(task, "run", None), "__self__")


def main() -> int:
    """Answer: ``beat`` or ``app``, then the place; all other arguments are folders to look in first."""
    # In place of this file's own folder, which Python has put there.
    sys.path[:1] = sys.argv[3:]
    answer_to = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        answer = (read_app if sys.argv[1] == "app" else read)(sys.argv[2])
    except CannotRead as error:
        answer = {"error": {"message": str(error), "hint": error.hint}}
    with answer_to:
        json.dump(answer, answer_to)
    return 0


if __name__ == "__main__":
    sys.exit(main())
