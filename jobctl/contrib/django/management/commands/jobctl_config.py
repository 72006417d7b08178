"""``manage.py jobctl_config``: the configuration of a daemon for this project, to begin with."""

from __future__ import annotations

import json
import os
import pwd
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from jobctl.contrib.django.settings import read_settings
from jobctl.contrib.django.workers import VARIABLE


class Command(BaseCommand):  # type: ignore[misc]  # Django has no types
    """Prints it; nothing is changed: ``manage.py jobctl_config > jobctl.toml``."""

    help = "Print a configuration for a daemon of this project, which runs as the present user."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """See `BaseCommand`."""
        module = os.environ.get(VARIABLE)
        if module is None:
            raise CommandError(f"workers find the settings by {VARIABLE}, which is not set here")
        self.stdout.write(configuration(module), ending="")


def configuration(module: str) -> str:
    """TOML with the interpreter, the folder and the user of this process, and this module of settings."""
    read = read_settings(settings)
    daemon: dict[str, Any] = {"imports": ["jobctl.contrib.django.worker"]}
    if read.state_dir is not None:
        daemon["state_dir"] = str(read.state_dir)
    if read.socket is not None:
        daemon["socket"] = str(read.socket)
    if settings.TIME_ZONE:
        daemon["timezone"] = settings.TIME_ZONE
    group = {"python": sys.executable, "cwd": str(Path.cwd())}
    if os.geteuid() == 0:
        # A daemon of root imports no code as root that it was not told to.
        group["user"] = pwd.getpwuid(0).pw_name
    lines = ["[daemon]", *_lines(daemon), "", "[workers.default]", *_lines(group)]
    lines.append(f"env = {{ {VARIABLE} = {_written(module)} }}")
    return "\n".join([*lines, ""])


def _lines(table: dict[str, Any]) -> list[str]:
    return [f"{key} = {_written(value)}" for key, value in table.items()]


def _written(value: Any) -> str:
    """Text, or a list of it, as TOML."""
    # A basic string of TOML is one of JSON, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
