"""The settings of a Celery application, under their old and their new names.

Few of them say something to jobctl: what concerns the broker, the result backend and the workers stands in the
daemon's configuration, or nowhere. Such a setting is accepted, and said once to be unused.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from jobctl.errors import UsageError

_log: Final = logging.getLogger("jobctl.contrib.celery")

USED: Final[dict[str, Any]] = {
    "beat_schedule": {},
    "timezone": None,
    "enable_utc": True,
    "imports": (),
    "include": (),
    "task_default_queue": None,
    "task_routes": None,
    "task_default_priority": None,
    "task_default_rate_limit": None,
    "task_time_limit": None,
    "task_soft_time_limit": None,
    "task_acks_late": None,
    "task_reject_on_worker_lost": None,
    "task_ignore_result": None,
    "task_always_eager": False,
    "task_eager_propagates": False,
    "result_expires": None,
}
"""What is used, and what it is when nobody sets it."""

_OLD: Final = {
    "CELERYBEAT_SCHEDULE": "beat_schedule",
    "CELERY_DEFAULT_QUEUE": "task_default_queue",
    "CELERY_ROUTES": "task_routes",
    "CELERY_DEFAULT_RATE_LIMIT": "task_default_rate_limit",
    "CELERYD_TASK_TIME_LIMIT": "task_time_limit",
    "CELERYD_TASK_SOFT_TIME_LIMIT": "task_soft_time_limit",
    "CELERY_ACKS_LATE": "task_acks_late",
    "CELERY_IGNORE_RESULT": "task_ignore_result",
    "CELERY_ALWAYS_EAGER": "task_always_eager",
    "CELERY_EAGER_PROPAGATES_EXCEPTIONS": "task_eager_propagates",
    "CELERY_TASK_RESULT_EXPIRES": "result_expires",
    "CELERYD_CONCURRENCY": "worker_concurrency",
    "CELERYD_MAX_TASKS_PER_CHILD": "worker_max_tasks_per_child",
    "CELERYD_PREFETCH_MULTIPLIER": "worker_prefetch_multiplier",
    "CELERYBEAT_SCHEDULER": "beat_scheduler",
    "BROKER_URL": "broker_url",
}
"""Old names that are not the new one in capitals after ``CELERY_``."""

_PREFIXES: Final = (
    *("accept_content", "beat_", "broker_", "cache_", "control_", "database_", "event_", "redis_"),
    *("result_", "security_", "task_", "worker_", "mongodb_", "elasticsearch_", "s3_", "rpc_"),
)
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


def new_name(name: str) -> str:
    """The present name of a setting: ``BROKER_URL`` → ``broker_url``, ``CELERY_ROUTES`` → ``task_routes``."""
    if name in _OLD:
        return _OLD[name]
    if not name.isupper():
        return name
    bare = name.removeprefix("CELERY_").lower()
    return bare if is_setting(bare) else name


def is_setting(name: str) -> bool:
    """Celery has settings of such a name."""
    return name in USED or name.startswith(_PREFIXES)


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
