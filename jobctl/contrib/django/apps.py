"""The application that stands in ``INSTALLED_APPS``: it takes the settings where Django starts."""

from __future__ import annotations

import os
from typing import Any, Final

from django.apps import AppConfig
from django.conf import settings
from django.core.signals import setting_changed

from jobctl.api import configure
from jobctl.api.calls import submit_instead
from jobctl.api.eager import in_place
from jobctl.contrib.django.settings import read_settings


class JobctlConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """``jobctl`` among Django's applications."""

    name = "jobctl.contrib.django"
    label = "jobctl"
    verbose_name = "jobctl"

    def ready(self) -> None:
        """Take the settings, and follow tests that override them. Raises SettingError."""
        for take in _TAKEN.values():
            take()
        setting_changed.connect(_follow, dispatch_uid="jobctl")


def _take_socket() -> None:
    # A worker knows its own daemon by its environment, and so does whoever starts a process by hand.
    if "JOBCTL_SOCKET" not in os.environ:
        configure(socket=read_settings(settings).socket)


def _take_patience() -> None:
    configure(patience_s=read_settings(settings).patience_s)


def _take_eager() -> None:
    global _is_eager
    read = read_settings(settings)
    if read.always_eager:
        submit_instead(in_place(propagates=read.eager_propagates))
    elif _is_eager:
        submit_instead(None)
    _is_eager = read.always_eager


_is_eager = False
_TAKEN: Final = {
    "JOBCTL_SOCKET": _take_socket,
    "JOBCTL_PATIENCE_S": _take_patience,
    "JOBCTL_ALWAYS_EAGER": _take_eager,
    "JOBCTL_EAGER_PROPAGATES": _take_eager,
}


def _follow(setting: str, **_about: Any) -> None:
    """Only what has changed: a test may have set the rest in another way."""
    if setting in _TAKEN:
        _TAKEN[setting]()
