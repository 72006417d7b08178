"""Django and jobctl: settings, tasks that are submitted when a transaction is committed, workers, ``manage.py``.

::

    INSTALLED_APPS = [..., "jobctl.contrib.django"]

    from jobctl.contrib.django import task

    @task(queue="mail", retries=3)
    def confirm(order_id: int) -> None: ...

    confirm.delay_on_commit(order.pk)

The daemon finds the tasks of all applications by ``[daemon] imports = ["jobctl.contrib.django.worker"]`` in a
worker group with ``env = { DJANGO_SETTINGS_MODULE = "shop.settings" }``. Django itself is imported only by
what is called.
"""

from __future__ import annotations

from jobctl.contrib.django.on_commit import DjangoTask, shared_task, task
from jobctl.contrib.django.settings import SettingError
from jobctl.contrib.django.workers import Connections, autodiscover, prepare_worker, set_up

__all__ = [
    "Connections",
    "DjangoTask",
    "SettingError",
    "autodiscover",
    "prepare_worker",
    "set_up",
    "shared_task",
    "task",
]
