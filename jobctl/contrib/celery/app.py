"""The application object, its tasks and results, as Celery has them."""

from __future__ import annotations

import fnmatch
import importlib
import importlib.util
import inspect
import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeAlias, TypeVar, overload

from jobctl.api import AsyncResult as _AsyncResult
from jobctl.api import (
    GroupResult,
    autodiscover,
    finish_with,
    send_task,
    signature,
    xmap,
    xstarmap,
)
from jobctl.api import task as _task
from jobctl.api.options import read_task_options
from jobctl.api.running import running_attempt
from jobctl.api.schedules import declare
from jobctl.api.tasks import registered_task
from jobctl.contrib.celery.schedules import table_of
from jobctl.contrib.celery.settings import Settings
from jobctl.contrib.django import DjangoTask, set_up
from jobctl.contrib.logs import JobFilter, JobHandler
from jobctl.errors import UsageError
from jobctl.task import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jobctl.api import Signature
    from jobctl.task.keys import Json

P = ParamSpec("P")
R = TypeVar("R")

_log: Final = logging.getLogger("jobctl.contrib.celery")

_LOG_FORMAT: Final = "[%(asctime)s: %(levelname)s] %(task_name)s[%(task_id)s]: %(message)s"
_FOREVER: Final = 1_000_000
"""Retries of a task with ``max_retries=None``."""
_RETRIES: Final = 3
_RETRY_DELAY_S: Final = 180
_OF_TRANSPORT: Final = (
    *("compression", "exchange", "routing_key", "send_events", "track_started", "trail"),
    *(
        "resultrepr_maxsize",
        "store_errors_even_if_ignored",
        "acks_on_failure_or_timeout",
        "abstract",
    ),
)
"""Options about messages and workers: nothing that a task does depends on them."""
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")


class AsyncResult(_AsyncResult[R]):
    """A job by its id, with or without the application that it belongs to."""

    __slots__ = ()

    def __init__(self, id: int | str, backend: object = None, app: object = None) -> None:
        super().__init__(id)


class Task(DjangoTask[P, R]):
    """A task with Celery's defaults: retries are those that ``self.retry()`` or ``autoretry_for`` asks for."""

    _app: Celery | None = None

    @property
    def app(self) -> Celery:
        """The application that it was declared with, else the latest."""
        return self._app or _latest()

    @classmethod
    def read_options(cls, given: dict[str, Any]) -> dict[str, Any]:
        """See `FunctionTask.read_options`."""
        options = {name: value for name, value in given.items() if name not in _OF_TRANSPORT}
        told = options.pop("retry_kwargs", None) or {}
        most = told.get("max_retries", options.pop("max_retries", _RETRIES))
        delay = told.get("countdown", options.pop("default_retry_delay", _RETRY_DELAY_S))
        options.pop("max_retries", None)
        options.pop("default_retry_delay", None)
        asked: dict[str, Any] = {
            name: options.pop(name)
            for name in ("retry_backoff", "retry_backoff_max", "retry_jitter", "autoretry_for")
            if name in options
        }
        options["retries"] = _FOREVER if most is None else most
        if not options["retries"]:
            options.pop("dont_autoretry_for", None)
            return options
        if not asked.get("autoretry_for"):
            # Without it no exception is tried again by itself; asking for it is.
            options["dont_autoretry_for"] = (BaseException,)
        else:
            options["autoretry_for"] = asked["autoretry_for"]
        backoff = asked.get("retry_backoff")
        if backoff and asked.get("autoretry_for"):
            return {**options, **asked, "retry_delay": backoff * 1, "retry_backoff": True}
        return {**options, "retry_delay": delay, "retry_backoff": False, "retry_jitter": False}

    def declaration(self) -> dict[str, Any]:
        """What a template tells the daemon: with what the application's settings say of all tasks."""
        conf = self.app.conf
        said = super().declaration()
        added = {**_defaults(conf), **_route(conf, self.name)}
        own = said["options"]
        wanted = {name: value for name, value in added.items() if not _has(own, name)}
        if wanted:
            more: Mapping[str, Json] = read_task_options(self.name, self.place, wanted, self.source)
            said["options"] = {**more, **own}
        return said

    def apply_async(
        self,
        args: Sequence[Any] | None = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> _AsyncResult[R]:
        """See `FunctionTask.apply_async`; with ``task_always_eager`` it is made in place."""
        conf = self.app.conf
        if not conf.task_always_eager or options.get("link") or options.get("link_error"):
            return super().apply_async(args or (), kwargs, **options)
        result = self.apply(args or (), kwargs)
        if conf.task_eager_propagates:
            result.get()
        return result

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> _AsyncResult[R]:
        """`apply_async` with these arguments."""
        return self.apply_async(args, kwargs)

    @property
    def is_made_in_place(self) -> bool:
        """As ``task_always_eager`` says."""
        return bool(self.app.conf.task_always_eager)

    def map(self, values: Iterable[Any], **options: Any) -> Any:
        """One job that calls it for each of these, as a signature: ``add.map(values).delay()``."""
        return xmap(self.s(), values, **options)

    def starmap(self, values: Iterable[Sequence[Any]], **options: Any) -> Any:
        """The same with a list of arguments for each call."""
        return xstarmap(self.s(), values, **options)

    @property
    def AsyncResult(self) -> type[AsyncResult[R]]:  # noqa: N802 -- Celery's name
        """Makes a result of an id."""
        return AsyncResult


def _has(options: Mapping[str, Any], name: str) -> bool:
    ours = {"time_limit": "timeout", "soft_time_limit": "soft_timeout", "acks_late": "on_lost"}
    return name in options or ours.get(name, name) in options


def _defaults(conf: Settings) -> dict[str, Any]:
    """Options of every task, of the application's settings."""
    found: dict[str, Any] = {
        "queue": conf.task_default_queue,
        "priority": conf.task_default_priority,
        "rate_limit": conf.task_default_rate_limit,
        "time_limit": conf.task_time_limit,
        "soft_time_limit": conf.task_soft_time_limit,
        "acks_late": conf.task_acks_late,
        "ignore_result": conf.task_ignore_result,
        "result_expires": conf.result_expires or None,
    }
    if conf.task_acks_late:
        found["reject_on_worker_lost"] = conf.task_reject_on_worker_lost
    return {name: value for name, value in found.items() if value is not None}


def _route(conf: Settings, task: str) -> dict[str, Any]:
    """What ``task_routes`` says of a task: by its name, or by a pattern of names."""
    routes = conf.task_routes or {}
    for table in routes if isinstance(routes, (list, tuple)) else (routes,):
        if not isinstance(table, Mapping):
            raise UsageError(
                "task_routes holds a function, and routes are a mapping here",
                hint='task_routes = {"shop.mail.*": {"queue": "mail"}}',
            )
        for pattern, route in table.items():
            if fnmatch.fnmatchcase(task, pattern):
                asked = {"queue": route} if isinstance(route, str) else dict(route)
                return {name: asked[name] for name in ("queue", "priority") if name in asked}
    return {}


class _Moment:
    """A step in an application's life to which code connects: ``@app.on_after_configure.connect``."""

    def __init__(self) -> None:
        self.receivers: list[Callable[..., Any]] = []

    def connect(self, receiver: Callable[..., Any] | None = None, **_options: Any) -> Any:
        """Call this function then, with ``sender`` and ``source``; a decorator, too."""
        if receiver is None:
            return self.connect
        self.receivers.append(receiver)
        return receiver

    def send(self, sender: Celery) -> None:
        """Call them."""
        for receiver in self.receivers:
            receiver(sender=sender, source=sender.conf)


_Declared: TypeAlias = "Task[P, R]"


class _Control:
    """``app.control``: what of it concerns jobs."""

    def revoke(self, task_id: int | str | Sequence[int | str], **_how: Any) -> None:
        """End these jobs, also those that run; returns when nothing of them is left."""
        for one in task_id if isinstance(task_id, (list, tuple)) else (task_id,):
            _AsyncResult[Any](one).revoke()

    terminate = revoke


class Celery:
    """An application: tasks, settings and schedules under one name.

    ``broker`` and ``backend`` are accepted and unused. Schedules and the search for tasks are put off until a
    worker's template has imported all modules.
    """

    def __init__(
        self,
        main: str | None = None,
        *,
        broker: str | None = None,
        backend: str | None = None,
        include: Sequence[str] = (),
        config_source: object = None,
        namespace: str | None = None,
        set_as_current: bool = True,
        **settings: Any,
    ) -> None:
        self.main = main
        self.conf = Settings()
        self.on_after_configure = _Moment()
        self.on_after_finalize = _Moment()
        frame = sys._getframe(1)
        self._module = str(frame.f_globals.get("__name__", main))
        self._source = Source(file=frame.f_code.co_filename, line=frame.f_lineno)
        given = {"broker_url": broker, "result_backend": backend, "include": tuple(include)}
        self.conf.update({name: value for name, value in given.items() if value})
        self.conf.update(settings)
        if config_source is not None:
            self.config_from_object(config_source, namespace=namespace)
        if set_as_current or not _apps:
            _apps.insert(0, self)
        if os.environ.get("DJANGO_SETTINGS_MODULE") and importlib.util.find_spec("django"):
            finish_with(set_up, module=self._module)
        finish_with(self._import_named, module=self._module)
        finish_with(self._finish, module=self._module)

    Task = Task
    control = _Control()

    # -- settings ---------------------------------------------------------------------------------

    def config_from_object(
        self,
        obj: object,
        silent: bool = False,
        force: bool = False,
        namespace: str | None = None,
    ) -> None:
        """Take settings of an object, or of what a name leads to: ``"shop.celeryconfig"``,
        ``"django.conf:settings"``."""
        found = obj
        if isinstance(obj, str):
            module, _, attribute = obj.partition(":")
            try:
                found = importlib.import_module(module)
            except ModuleNotFoundError:
                if silent:
                    return
                raise
            if attribute:
                found = getattr(found, attribute)
        self.conf.take(found, namespace=namespace or "")

    def config_from_envvar(self, variable_name: str, silent: bool = False) -> None:
        """The same of the module that an environment variable names."""
        name = os.environ.get(variable_name)
        if name:
            self.config_from_object(name)
        elif not silent:
            raise UsageError(
                f"the environment has no {variable_name}", hint="It names a module of settings."
            )

    # -- tasks ------------------------------------------------------------------------------------

    @overload
    def task(self, function: Callable[P, R], /) -> _Declared[P, R]: ...
    @overload
    def task(self, **options: Any) -> Callable[[Callable[..., R]], _Declared[..., R]]: ...

    def task(self, function: Any = None, /, **options: Any) -> Any:  # type: ignore[misc]
        """Declare a function as a task: ``@app.task``, ``@app.task(bind=True, max_retries=5)``."""
        base = options.pop("base", None) or self.Task

        def made(function: Callable[..., Any]) -> Any:
            decorate: Any = _task
            declared: Any = decorate(base=base, **options)(function)
            declared._app = self
            return declared

        return made if function is None else made(function)

    def autodiscover_tasks(
        self,
        packages: Iterable[str] | Callable[[], Iterable[str]] | None = None,
        related_name: str = "tasks",
        force: bool = False,
    ) -> None:
        """Import the module ``tasks`` of each package, by default of each application of Django, when a worker's
        template has imported all modules; with ``force`` at once."""

        def find() -> None:
            named = packages() if callable(packages) else packages
            searched = _django_apps() if named is None else map(_package_of, named)
            autodiscover(searched, related_name)

        if force:
            find()
        else:
            finish_with(find, module=self._module)

    def send_task(
        self,
        name: str,
        args: Sequence[Any] | None = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> _AsyncResult[Any]:
        """Submit a job of a task by its name."""
        return send_task(name, args or (), kwargs, **options)

    def signature(self, *args: Any, **kwargs: Any) -> Signature[Any]:
        """A signature of a task, of its name, or of what JSON has made of one."""
        return signature(*args, **kwargs)

    def AsyncResult(self, id: int | str) -> AsyncResult[Any]:  # noqa: N802 -- Celery's name
        """A job by its id."""
        return AsyncResult(id)

    def GroupResult(self, id: int | str) -> GroupResult:  # noqa: N802 -- Celery's name
        """The last group of a workflow, by the workflow's id."""
        return GroupResult.restore(id)

    # -- schedules --------------------------------------------------------------------------------

    def add_periodic_task(
        self,
        schedule: object,
        sig: Signature[Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        name: str | None = None,
        **options: Any,
    ) -> str:
        """Add an entry to ``beat_schedule``; gives its name."""
        entry = {
            "schedule": schedule,
            "task": sig.task,
            "args": (*sig.args, *args),
            "kwargs": {**sig.kwargs, **(kwargs or {})},
            "options": {**sig.options, **options},
        }
        key = name or f"{sig.task}-{len(self.conf.beat_schedule) + 1}"
        self.conf.beat_schedule[key] = entry
        return key

    def _import_named(self) -> None:
        for module in (*_names(self.conf.imports), *_names(self.conf.include)):
            importlib.import_module(module)

    def _finish(self) -> None:
        """Declare what ``beat_schedule`` holds, when all that adds to it has been imported."""
        if self.conf.worker_hijack_root_logger:
            _set_up_logging(self.conf.worker_task_log_format or _LOG_FORMAT)
        self.on_after_configure.send(self)
        self.on_after_finalize.send(self)
        for name, entry in self.conf.beat_schedule.items():
            if _can_run(str(name), entry):
                self._declare_entry(str(name), entry)

    def _declare_entry(self, name: str, entry: Mapping[str, Any]) -> None:
        plain = _NOT_IN_NAMES.sub("-", name).strip("-.") or "entry"
        options = dict(entry.get("options") or {})
        refused = [
            option
            for option, value in options.items()
            if value is not None and option not in ("expires", *_OF_TRANSPORT)
        ]
        if refused:
            raise UsageError(
                f'the entry "{name}" of beat_schedule: {", ".join(refused)} cannot be said on a schedule',
                hint="Say it on the task.",
            )
        table: dict[str, Any] = {**table_of(entry["schedule"])}
        if entry.get("args"):
            table["args"] = list(entry["args"])
        if entry.get("kwargs"):
            table["kwargs"] = dict(entry["kwargs"])
        if options.get("expires") is not None:
            table["expires"] = options["expires"]
        zone = self.conf.timezone or ("UTC" if self.conf.enable_utc else None)
        if zone is not None and "cron" in table:
            table["timezone"] = str(zone)
        # As beat does: it starts a job whether the last one has ended or not, and one for those missed.
        table |= {"on_overlap": "allow", "on_missed": "once"}
        declare(plain, str(entry["task"]), table, self._source)

    def __repr__(self) -> str:
        return f"<Celery {self.main}>"


_apps: Final[list[Celery]] = []


def _latest() -> Celery:
    """The application that was made last; one without settings when there is none."""
    return _apps[0] if _apps else Celery("default")


def _set_up_logging(log_format: str) -> None:
    """As a worker of Celery does: what tasks log from INFO on is seen, in the output of their jobs.

    Not where the application has set up logging itself.
    """
    root = logging.getLogger()
    if root.handlers:
        return
    handler = JobHandler()
    handler.addFilter(JobFilter())
    handler.setFormatter(logging.Formatter(log_format))
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def _can_run(name: str, entry: Mapping[str, Any]) -> bool:
    """Whether the task takes the entry's arguments. As with beat, an entry that lacks one is told, and hinders
    no other one; `jobctl check` would refuse the whole plan for it."""
    found = registered_task(str(entry["task"]))
    if found is None or not found.typing:
        return True
    function: Callable[..., Any] = found
    try:
        inspect.signature(function).bind(*(entry.get("args") or ()), **(entry.get("kwargs") or {}))
    except TypeError as error:
        _log.error(
            'the entry "%s" of beat_schedule makes no jobs: task "%s": %s',
            name,
            found.name,
            error,
        )
        return False
    return True


class _CurrentApp:
    """The application that was made last, whichever that is when it is asked."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_latest(), name)


current_app: Any = _CurrentApp()
"""The application that was made last, as Celery's proxy."""


@overload
def shared_task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def shared_task(**options: Any) -> Callable[[Callable[..., R]], Task[..., R]]: ...


def shared_task(function: Any = None, /, **options: Any) -> Any:
    """Declare a task without naming the application; it takes the settings of the one there is in the end."""
    base = options.pop("base", None) or Task

    def made(function: Callable[..., Any]) -> Any:
        decorate: Any = _task
        return decorate(base=base, **options)(function)

    return made if function is None else made(function)


class _CurrentTask:
    """The task whose job runs here; false when there is none."""

    def __bool__(self) -> bool:
        return running_attempt() is not None

    def __getattr__(self, name: str) -> Any:
        found = running_attempt()
        if found is None:
            raise AttributeError(f"no task runs here that could have {name}")
        return getattr(found.task, name)


current_task: Any = _CurrentTask()
"""The task whose job runs here, as Celery's proxy."""


def _names(named: object) -> tuple[str, ...]:
    if isinstance(named, str):
        return (named,)
    return tuple(str(name) for name in named) if isinstance(named, (list, tuple, set)) else ()


def _package_of(named: str) -> str:
    """The package that an entry of Django's ``INSTALLED_APPS`` means: one of them may name a class."""
    module, _, name = named.rpartition(".")
    if not name[:1].isupper():
        return named
    kind = getattr(importlib.import_module(module), name, None)
    return str(getattr(kind, "name", named))


def _django_apps() -> list[str]:
    """The applications that Django has loaded. Raises UsageError where there is no Django."""
    try:
        apps = importlib.import_module("django.apps").apps
    except ModuleNotFoundError:
        raise UsageError(
            "autodiscover_tasks() without packages asks Django, which is not installed here",
            hint='Name them: autodiscover_tasks(["shop"]).',
        ) from None
    return [config.name for config in apps.get_app_configs()]
