"""What of a Celery application carries over: its settings and tasks, with a verdict for each.

Pure: takes what `jobctl.importers.celery_reader` printed of an application. Its code is to run under
`jobctl.contrib.celery`, which takes the settings of `jobctl.importers.celery_settings.USED` itself; what
belongs into the daemon's file is written as TOML; all else is said. The beat schedule is the application's own
(`jobctl import celery-beat` writes one as TOML).

Source: Celery 5.6, user guide "Configuration and defaults".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from jobctl.config.writing import table_text
from jobctl.importers.celery_beat import Verdict
from jobctl.importers.celery_settings import USED, is_setting, new_name
from jobctl.task.units import InvalidValue, parse_rate
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One setting or one task, by the application's own name for it, and what is to be known of it."""

    name: str
    verdict: Verdict
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AppImport:
    """A whole application. ``toml`` is a file to begin with; ``settings`` and ``tasks`` are in their order."""

    toml: str
    settings: tuple[Judged, ...]
    tasks: tuple[Judged, ...]


def convert_app(read: Mapping[str, Any]) -> AppImport:
    """Judge what `jobctl.importers.celery_reader` read."""
    file = _File(str(read["module"]))
    settings = [
        _setting(name, new_name(name), value, file)
        for name, value in read["settings"].items()
        if is_setting(new_name(name))
    ]
    tasks = [_task(task) for task in read["tasks"]]
    return AppImport(toml=file.text(), settings=tuple(settings), tasks=tuple(tasks))


class _File:
    """The configuration that comes of it."""

    def __init__(self, module: str) -> None:
        self.daemon: dict[str, Any] = {"imports": [module]}
        self.group: dict[str, Any] = {}
        self.tasks: dict[str, dict[str, Any]] = {}

    def text(self) -> str:
        """All of it as TOML."""
        parts = [table_text(("daemon",), self.daemon)]
        if self.group:
            parts.append(table_text(("workers", "default"), self.group))
        parts += [table_text(("tasks", name), table) for name, table in self.tasks.items()]
        return "\n".join(parts)


# -- settings -------------------------------------------------------------------------------------


def _setting(written: str, name: str, value: Any, file: _File) -> Judged:
    judge = _JUDGED.get(name)
    if judge is not None:
        verdict, *notes = judge(value, file)
        return Judged(name=written, verdict=verdict, notes=tuple(notes))
    if name in USED:
        return Judged(name=written, verdict=Verdict.CLEAN)
    why = _UNUSED.get(name) or next(
        (why for prefix, why in _UNUSED_FAMILIES.items() if name.startswith(prefix)), None
    )
    if why is not None:
        return Judged(name=written, verdict=Verdict.LEFT_OUT, notes=(why,))
    return Judged(
        name=written,
        verdict=Verdict.DECISION,
        notes=("nothing here does what it asks for: find out whether the application needs it",),
    )


_Said = tuple[Any, ...]
"""A verdict and its notes."""


def _in_group(key: str, suffix: str = "") -> Any:
    """Of a number that a worker group takes under another name."""

    def judge(value: Any, file: _File) -> _Said:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            if value in (None, 0):
                return (Verdict.CLEAN,)
            return (Verdict.DECISION, f"{value!r} is no number: write {key} into the worker group")
        file.group[key] = f"{value}{suffix}" if suffix else value
        return (Verdict.CLEAN, f"written as {key} of the worker group")

    return judge


def _pool(value: Any, file: _File) -> _Said:
    if value == "prefork":
        return (Verdict.CLEAN,)
    if value in ("threads", "gevent", "eventlet"):
        file.group["pool"] = "threads"
        note = 'written as pool = "threads", with 16 side by side unless concurrency says otherwise'
        return (Verdict.CLEAN if value == "threads" else Verdict.NOTE, note)
    if value == "solo":
        file.group["processes"] = 1
        return (Verdict.NOTE, "written as processes = 1; a worker is a process of its own")
    return (Verdict.DECISION, f"{value!r} is a pool of its own: choose prefork, threads or async")


def _json_only(value: Any, _file: _File) -> _Said:
    named = cast("list[object]", value) if isinstance(value, list) else [value]
    others = [one for one in named if one not in (None, "json", "application/json")]
    if not others:
        return (Verdict.CLEAN,)
    told = ", ".join(map(str, others))
    return (
        Verdict.DECISION,
        f"{told}: arguments and results are JSON here; give what JSON can hold, and remove the setting",
    )


def _scheduler(value: Any, _file: _File) -> _Said:
    if value is None or "PersistentScheduler" in str(value):
        return (Verdict.LEFT_OUT, "the daemon is the scheduler")
    return (
        Verdict.DECISION,
        "the daemon is the scheduler; schedules that are kept in a database of the application are "
        "to be added with jobctl schedule add",
    )


def _routes(value: Any, _file: _File) -> _Said:
    tables = cast("list[object]", value) if isinstance(value, list) else [value]
    if all(table is None or isinstance(table, dict) for table in tables):
        return (Verdict.NOTE, "queue and priority of a route are used, and nothing else of it")
    return (Verdict.DECISION, "a route is a mapping here, and this one is a function: write it out")


def _annotations(value: Any, file: _File) -> _Said:
    if not isinstance(value, dict):
        return (Verdict.DECISION, 'write a table [tasks."name"] for what it changes')
    ours = {"rate_limit": "rate_limit", "time_limit": "timeout", "soft_time_limit": "soft_timeout"}
    left: list[str] = []
    for task, table in cast("dict[str, Any]", value).items():
        for option, given in (table if isinstance(table, dict) else {"": table}).items():
            if task == "*" or option not in ours or not _can_be_written(option, given):
                left.append(f"{task}.{option}" if option else task)
            else:
                file.tasks.setdefault(task, {})[ours[option]] = given
    if left:
        return (Verdict.DECISION, f"not written: {', '.join(left)}", "the rest stands in [tasks.X]")
    return (Verdict.CLEAN, "written as tables [tasks.X]")


def _can_be_written(option: str, value: Any) -> bool:
    if option == "rate_limit":
        try:
            parse_rate(value)
        except InvalidValue:
            return False
        return True
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _only_if_true(note: str) -> Any:
    def judge(value: Any, _file: _File) -> _Said:
        return (Verdict.DECISION, note) if value else (Verdict.CLEAN,)

    return judge


_JUDGED: Final[dict[str, Any]] = {
    "worker_concurrency": _in_group("processes"),
    "worker_max_tasks_per_child": _in_group("max_tasks_per_child"),
    "worker_max_memory_per_child": _in_group("max_memory_per_child", "KiB"),
    "worker_pool": _pool,
    "task_serializer": _json_only,
    "result_serializer": _json_only,
    "accept_content": _json_only,
    "result_accept_content": _json_only,
    "beat_scheduler": _scheduler,
    "task_routes": _routes,
    "task_annotations": _annotations,
    "task_cls": _only_if_true("a class of tasks is named with base= at each task, or as app.Task"),
    "task_inherit_parent_priority": _only_if_true("a job has the priority that its submit says"),
    "worker_autoscaler": _only_if_true("jobctl worker scale changes how many run"),
    "task_acks_on_failure_or_timeout": lambda value, _file: (
        (Verdict.CLEAN,)
        if value
        else (Verdict.DECISION, "a failed attempt comes again only by retries; write retries")
    ),
}
"""Settings of which the value decides; each gives a verdict and notes."""

_UNUSED: Final = {
    "result_backend": "the daemon keeps results",
    "task_queues": "a queue is there when something names it; [queues.X] limits one",
    "task_create_missing_queues": "a queue is there when something names it",
    "task_track_started": "STARTED is always known",
    "task_send_sent_event": "nothing has to be switched on to see jobs",
    "worker_send_task_events": "nothing has to be switched on to see jobs",
    "task_store_eager_result": "what is made in place is not stored",
    "task_publish_retry": "a call waits for a daemon that is being restarted",
    "task_publish_retry_policy": "configure(patience_s=…) says how long a call waits for a daemon",
    "task_remote_tracebacks": "tracebacks come as text, always",
    "worker_prefetch_multiplier": "what waits behind a long job is taken back",
    "worker_disable_rate_limits": "a rate holds where one is written",
    "beat_max_loop_interval": "the daemon wakes when something is due",
    "beat_schedule_filename": "the daemon's store knows what was due",
    "beat_sync_every": "each instant is stored with its job",
    "beat_cron_starting_deadline": "on_missed and missed_within say it for each schedule",
}
_UNUSED_FAMILIES: Final = {
    "broker_": "there is no broker",
    "result_": "the daemon keeps results",
    "redis_": "there is no broker and no other store",
    "database_": "the daemon keeps results",
    "cache_": "the daemon keeps results",
    "mongodb_": "the daemon keeps results",
    "elasticsearch_": "the daemon keeps results",
    "s3_": "the daemon keeps results",
    "rpc_": "the daemon keeps results",
    "event_": "nothing has to be switched on to see jobs",
    "control_": "workers are asked through the daemon",
    "security_": "who asks is known from the kernel",
    "task_default_exchange": "there is no broker",
    "task_default_routing_key": "there is no broker",
    "task_default_delivery_mode": "every job is stored before its submit returns",
    "task_queue_": "there is no broker",
    "task_compression": "nothing is sent over a network",
    "task_protocol": "there is no broker",
    "worker_log": "the daemon writes the log: log_format and log_level",
    "worker_task_log": "the daemon writes the log: log_format and log_level",
    "worker_redirect": "what a job prints is kept with it",
    "worker_": "workers are the daemon's own: see worker groups",
}


# -- tasks ----------------------------------------------------------------------------------------


def _task(task: Mapping[str, Any]) -> Judged:
    notes: list[str] = []
    open_: list[str] = []
    if task["serializer"] not in (None, "json"):
        open_.append(f"serializer {task['serializer']}: arguments and results are JSON here")
    if "__call__" in task["overrides"]:
        open_.append("its class has a __call__ of its own: workers call the method call here")
    others = [name for name in task["overrides"] if name != "__call__"]
    if others:
        open_.append(f"its class overrides {', '.join(others)}: see that it does the same here")
    if task["rate_limit"] is not None:
        notes.append("rate_limit: of the task on this host, not of each worker")
    if task["acks_late"] and not task["reject_on_worker_lost"]:
        notes.append(
            "acks_late: it runs again when its worker dies, which in Celery needs reject_on_worker_lost too"
        )
    return Judged(name=str(task["name"]), verdict=_verdict(open_, notes), notes=(*open_, *notes))


def _verdict(open_: Iterable[str], notes: Iterable[str]) -> Verdict:
    if any(open_):
        return Verdict.DECISION
    return Verdict.NOTE if any(notes) else Verdict.CLEAN
