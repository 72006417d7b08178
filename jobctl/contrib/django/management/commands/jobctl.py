"""``manage.py jobctl …``: the command line of jobctl with the project's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from jobctl.contrib.django.settings import read_settings


class Command(BaseCommand):  # type: ignore[misc]  # Django has no types
    """Each argument is handed on: ``manage.py jobctl daemon``, ``manage.py jobctl list --json``."""

    help = (
        "Run jobctl with JOBCTL_CONFIG and JOBCTL_SOCKET of the settings: manage.py jobctl daemon"
    )

    def add_arguments(self, parser: Any) -> None:
        """See `BaseCommand`."""
        parser.add_argument("arguments", nargs="*", help="what jobctl is asked")

    def run_from_argv(self, argv: list[str]) -> None:
        """Become jobctl: its signals, its terminal and its exit code are those of this process."""
        os.execve(sys.executable, _command(argv[2:]), _environment())  # noqa: S606 -- argv, no shell

    def handle(self, *_args: Any, arguments: list[str], **_options: Any) -> None:
        """Of ``call_command("jobctl", "reload")``. Raises CommandError with the exit code."""
        done = subprocess.run(_command(arguments), env=_environment(), check=False)
        if done.returncode:
            raise CommandError(
                f"jobctl ended with exit code {done.returncode}", returncode=done.returncode
            )


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "jobctl", *arguments]


def _environment() -> dict[str, str]:
    read = read_settings(settings)
    given = {"JOBCTL_CONFIG": read.config, "JOBCTL_SOCKET": read.socket}
    told = {name: str(value) for name, value in given.items() if value is not None}
    return {**told, **os.environ}
