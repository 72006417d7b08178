"""Outcomes on disk: what a worker leaves when nobody has acknowledged its outcome.

A record is one file, named by the attempt's token, holding the outcome as JSON. It appears whole or
not at all: written under another name, flushed, renamed, and the folder flushed.
"""

from __future__ import annotations

import os

SUFFIX = ".json"


def record_name(token: int) -> str:
    """File name of an attempt's record: the token as 16 hexadecimal digits."""
    return f"{token:016x}{SUFFIX}"


def write_record(directory: str, token: int, text: str, *, durable: bool = True) -> None:
    """Write ``text`` as the record of ``token``; repeating it is harmless.

    Without ``durable`` the record outlives this process but not the computer: enough for an outcome
    that is about to be sent.

    Raises:
        OSError: the disk is full or refuses; no part of a record is left under its name.
    """
    name = f"{directory}/{record_name(token)}"
    temporary = f"{name}.{os.getpid()}.new"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        data = text.encode()
        while data:
            data = data[os.write(file, data) :]
        if durable:
            os.fsync(file)
    except BaseException:
        os.close(file)
        os.unlink(temporary)
        raise
    os.close(file)
    os.rename(temporary, name)
    if durable:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def drop_record(directory: str, token: int) -> None:
    """Remove the record of ``token`` if there is one."""
    try:
        os.unlink(f"{directory}/{record_name(token)}")
    except FileNotFoundError:
        pass
