"""The names of Celery's settings, old and new, and which of them say something to jobctl.

Imported by applications: the standard library only.
"""

from __future__ import annotations

from typing import Any, Final

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
    "worker_hijack_root_logger": True,
    "worker_task_log_format": None,
}
"""What is used, and what it is when nobody sets it."""

OLD: Final = {
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

PREFIXES: Final = (
    *("accept_content", "beat_", "broker_", "cache_", "control_", "database_", "event_", "redis_"),
    *("result_", "security_", "task_", "worker_", "mongodb_", "elasticsearch_", "s3_", "rpc_"),
)


def new_name(name: str) -> str:
    """The present name of a setting: ``BROKER_URL`` → ``broker_url``, ``CELERY_ROUTES`` → ``task_routes``."""
    if name in OLD:
        return OLD[name]
    if not name.isupper():
        return name
    bare = name.removeprefix("CELERY_").lower()
    return bare if is_setting(bare) else name


def is_setting(name: str) -> bool:
    """Celery has settings of such a name."""
    return name in USED or name.startswith(PREFIXES)
