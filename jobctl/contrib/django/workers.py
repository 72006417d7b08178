"""What a worker of a Django project needs: Django set up, the tasks of all applications, fresh connections.

Done once in the template, from which workers are forked; so no connection that it has opened may be left
when they are.
"""

from __future__ import annotations

import functools
import importlib
import os
from typing import TYPE_CHECKING, Any, Final

from jobctl.api import around_attempts, finish_with
from jobctl.api import autodiscover as _autodiscover
from jobctl.api.schedules import declare
from jobctl.contrib.django.settings import SettingError, Settings, read_settings
from jobctl.errors import UsageError
from jobctl.task import Source
from jobctl.task.keys import nearest
from jobctl.task.units import shown

if TYPE_CHECKING:
    from types import TracebackType

VARIABLE: Final = "DJANGO_SETTINGS_MODULE"


class Connections:
    """Around each attempt: connections that are too old, or were broken, are closed, as around a request.

    ``CONN_MAX_AGE`` says how old they may become; 0, Django's own value, gives each attempt new ones. Queries
    that ``DEBUG`` has noted down are forgotten.
    """

    def __enter__(self) -> None:
        database: Any = importlib.import_module("django.db")
        database.reset_queries()
        database.close_old_connections()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        importlib.import_module("django.db").close_old_connections()

    async def __aenter__(self) -> None:
        await self._in_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._in_thread(functools.partial(self.__exit__, None, None, None))

    @staticmethod
    async def _in_thread(step: Any) -> None:
        # In the thread in which the asynchronous calls of Django's models have their connections.
        await importlib.import_module("asgiref.sync").sync_to_async(step)()


def prepare_worker() -> None:
    """Set Django up and have the tasks and schedules of the project declared. Safe to repeat.

    For a module that the daemon's ``imports`` name; `jobctl.contrib.django.worker` is one. Raises as
    `set_up` does.
    """
    set_up()
    # What it finds wrong stands in the settings.
    finish_with(_find_tasks, module=os.environ[VARIABLE])


def set_up() -> None:
    """Set Django up in a worker's template: what attempts need, and no tasks. Safe to repeat.

    Raises:
        UsageError: the environment does not name the module of settings.
        SettingError: a setting that jobctl cannot take.
    """
    if not os.environ.get(VARIABLE):
        raise UsageError(
            f"the environment has no {VARIABLE}",
            hint=f'Write env = {{ {VARIABLE} = "shop.settings" }} into the worker group.',
        )
    django: Any = importlib.import_module("django")
    django.setup()
    around_attempts(Connections)
    finish_with(_close_all, module=__name__)


def autodiscover(related_name: str | None = None) -> list[str]:
    """Import the module ``tasks`` of each installed application, or of those that ``JOBCTL_TASKS_OF`` names;
    gives the names of those that were there.

    ``related_name`` is another name of such modules than the setting ``JOBCTL_TASKS_MODULE`` says. What a
    module raises goes through.
    """
    read = read_settings(_settings())
    return _autodiscover(_applications(read), related_name or read.tasks_module)


def _find_tasks() -> None:
    settings = _settings()
    read = read_settings(settings)
    for application in _applications(read):
        # One by one: a module that cannot be imported is named, and keeps no other one from its workers.
        finish_with(
            functools.partial(_find_in, application, read.tasks_module),
            module=f"{application}.{read.tasks_module}",
        )
    module = os.environ[VARIABLE]
    for name, table in read.schedules.items():
        finish_with(
            functools.partial(_declare, name, dict(table), settings.TIME_ZONE), module=module
        )
    # Once more, when all of these have been imported.
    finish_with(_close_all, module=__name__)


def _find_in(application: str, tasks_module: str) -> None:
    _autodiscover([application], tasks_module)


def _declare(name: str, table: dict[str, Any], timezone: str | None) -> None:
    task = table.pop("task", None)
    if task is None:
        raise SettingError(
            f'the schedule "{name}" of JOBCTL_SCHEDULES names no task',
            hint='{"task": "shop.tasks.report", "cron": "30 2 * * *"}',
        )
    if timezone and "cron" in table:
        table.setdefault("timezone", timezone)
    module = importlib.import_module(os.environ[VARIABLE])
    declare(name, task, table, Source(file=str(module.__file__)))


def _close_all() -> None:
    """Workers are forked from here: two processes on one connection would read each other's answers."""
    importlib.import_module("django.db").connections.close_all()


def _applications(read: Settings) -> list[str]:
    """The packages of the applications in which tasks are looked for. Raises SettingError."""
    apps: Any = importlib.import_module("django.apps").apps
    installed = [config.name for config in apps.get_app_configs()]
    if read.tasks_of is None:
        return installed
    for name in read.tasks_of:
        if name not in installed:
            near = nearest(name, installed)
            raise SettingError(
                f"JOBCTL_TASKS_OF names {shown(name)}, which is no installed application",
                hint=f'Did you mean "{near}"?' if near else "See INSTALLED_APPS.",
            )
    return list(read.tasks_of)


def _settings() -> Any:
    return importlib.import_module("django.conf").settings
