"""A command that tells: it gets the notice as JSON on standard input, and as variables."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NoReturn

from jobctl.notify.http import payload
from jobctl.notify.notice import one_line
from jobctl.notify.sending import SendFailed
from jobctl.notify.words import headline

if TYPE_CHECKING:
    from collections.abc import Mapping

_OURS = ("JOBCTL_ARG_", "JOBCTL_ATTEMPT", "CREDENTIALS_DIRECTORY")


def become(notice: Mapping[str, Any], settings: Mapping[str, Any]) -> NoReturn:
    """Turn into the command: its exit code says whether it has told. Raises SendFailed."""
    told = payload(notice)
    told["text"] = f"[{notice['host']}] {headline(notice)}"
    fd = os.memfd_create("notice", 0)
    os.write(fd, json.dumps(told, ensure_ascii=False).encode())
    os.lseek(fd, 0, os.SEEK_SET)
    os.dup2(fd, 0)
    os.close(fd)
    argv = settings["command"]
    try:
        os.execvpe(argv[0], argv, {**_inherited(), **variables(told)})  # noqa: S606 -- no shell is wanted
    except OSError as error:
        raise SendFailed(f"{argv[0]} cannot be started: {error.strerror}") from None


def variables(told: Mapping[str, Any]) -> dict[str, str]:
    """The notice as variables: what is one word or one line of it."""
    error = told.get("error") or {}
    found = {
        "JOBCTL_EVENT": told["event"],
        "JOBCTL_TEXT": told["text"],
        "JOBCTL_TASK": told.get("task"),
        "JOBCTL_JOB_ID": told.get("id"),
        "JOBCTL_STATE": told.get("state"),
        "JOBCTL_EXIT_CODE": told.get("exit_code"),
        "JOBCTL_SIGNAL": told.get("signal"),
        "JOBCTL_ERROR": error.get("message"),
    }
    return {name: "" if value is None else one_line(str(value)) for name, value in found.items()}


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
