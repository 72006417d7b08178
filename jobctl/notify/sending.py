"""What all kinds of routes need when they send: failures, secrets from files, certificates."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_SECRET: Final = 64 * 1024


class SendFailed(Exception):
    """The message was not taken. ``is_final``: it never will be; else it is tried again."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


def secret(settings: Mapping[str, Any], key: str) -> str | None:
    """The contents of the file that a key names, without the line end; None when it names none.

    Raises:
        SendFailed: it cannot be read. The message names the file, never what is in it.
    """
    path = settings.get(key)
    if path is None:
        return None
    if not path.startswith("/"):
        raise SendFailed(f'{key}: the daemon was given no "{path}"')
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LONGEST_SECRET)
        text = data.decode().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SendFailed(f"{key}: {path} cannot be read: {why}") from None
    if not text:
        raise SendFailed(f"{key}: {path} is empty")
    return text


def trusted(settings: Mapping[str, Any]) -> ssl.SSLContext:
    """How certificates are checked. Raises SendFailed: those that are trusted cannot be read."""
    try:
        return ssl.create_default_context(cafile=settings.get("ca_file"))
    except (OSError, ssl.SSLError):
        raise SendFailed(f"ca_file: {settings.get('ca_file')} cannot be read") from None
