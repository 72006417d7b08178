"""The settings of a Celery application, under their old and their new names.

Few of them say something to jobctl: what concerns the broker, the result backend and the workers stands in the
daemon's configuration, or nowhere. Such a setting is accepted, and said once to be unused.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from jobctl.errors import UsageError
from jobctl.importers.celery_settings import USED, is_setting, new_name

__all__ = ["USED", "Settings", "is_setting", "new_name"]

_log: Final = logging.getLogger("jobctl.contrib.celery")

_ADVICE: Final = {
    "worker_concurrency": "write processes = … into a worker group",
    "worker_max_tasks_per_child": "write max_tasks_per_child = … into a worker group",
    "worker_max_memory_per_child": "write max_memory_per_child = … into a worker group",
    "beat_scheduler": "jobctl schedule add stores schedules while the daemon runs",
    "task_annotations": 'write a table [tasks."name"]',
    "broker_url": "there is no broker",
    "result_backend": "the daemon keeps results",
}
_JSON_ONLY: Final = ("task_serializer", "result_serializer")

_told: set[str] = set()


class Settings(dict[str, Any]):
    """Settings by their new names; as attributes, too. Those that nobody has set are what `USED` says."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name in USED:
            # An application adds to beat_schedule without having set it.
            return self.setdefault(name, {}) if name == "beat_schedule" else USED[name]
        raise AttributeError(f"the application has no setting {name}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        new = new_name(name)
        _judge(new, value)
        super().__setitem__(new, value)

    def update(self, *given: Any, **more: Any) -> None:
        """Set several, under old or new names."""
        for name, value in {**dict(*given), **more}.items():
            self[name] = value

    def take(self, source: object, *, namespace: str = "") -> None:
        """Take the settings of a module, an object or a mapping: those that begin with the namespace, if there
        is one, else all that have names of settings."""
        found = (
            source if isinstance(source, Mapping) else {n: getattr(source, n) for n in dir(source)}
        )
        prefix = f"{namespace}_" if namespace else ""
        for name, value in found.items():
            if prefix and str(name).startswith(prefix):
                own = str(name)[len(prefix) :].lower()
                self[own if is_setting(own) else str(name)] = value
            elif not prefix and is_setting(new_name(str(name))):
                self[str(name)] = value


def _judge(name: str, value: object) -> None:
    if name in USED or not is_setting(name):
        return
    if name in _JSON_ONLY and value not in (None, "json"):
        raise UsageError(
            f"the setting {name} is {value!r}, and values are JSON here",
            hint="Remove it; give arguments and results that JSON can hold.",
        )
    if name not in _told:
        _told.add(name)
        advice = _ADVICE.get(name, "the daemon's configuration says such things")
        _log.warning("the setting %s of Celery is not used: %s", name, advice)
