"""What a task asks for beside its command: variables from files, input, priorities, limits.

Most tasks ask for none of it; their order has no key ``world``, and nothing here is called. Its keys, each
of which may be missing:

* ``env_files``: list of ``[path, is_optional]``; ``env_from_file``: paths by variable. They are read here, in
  the keeper, so that what they hold reaches neither the daemon nor its store, logs and answers;
* ``stdin``: text; ``stdin_file``: a path;
* ``nice``: -20 to 19; ``ionice``: ``[class, level]``;
* ``limits``: numbers by the keys of a task, for each of its processes: see `_LIMITS`;
* ``bounds``: likewise, for all of them together: see `jobctl.worker.bounds`, which keeps them.

A file of variables has lines ``NAME=value``. Blank lines and lines that begin with ``#`` count for nothing;
spaces around name and value are dropped; a value in one pair of ``'`` or ``"`` is what stands between
them. Nothing is expanded, and a backslash is a backslash: it is data, not shell.
"""

from __future__ import annotations

import os
import resource
import stat

from jobctl.worker import kernel
from jobctl.worker.failure import CannotStart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_LONGEST_FILE = 1 << 20
_LONGEST_VALUE = 131_072 - 256
"""The kernel takes 128 KiB for a variable with its name."""
_CPU_PATIENCE_S = 5
"""From XCPU to KILL."""
_LIMITS = {
    "cpu_time": resource.RLIMIT_CPU,
    "open_files": resource.RLIMIT_NOFILE,
    "max_processes": resource.RLIMIT_NPROC,
    "address_space": resource.RLIMIT_AS,
    "core_size": resource.RLIMIT_CORE,
}


def needs_fork(world: Mapping[str, Any]) -> bool:
    """Something is to be done between fork and exec, which posix_spawn(3) cannot."""
    return "nice" in world or "ionice" in world or "limits" in world


def environment(given: Mapping[str, str], world: Mapping[str, Any]) -> dict[str, str]:
    """The variables ``given`` with those of files, which replace them.

    Raises:
        CannotStart: a file cannot be read or is not as it should be. No message tells what stands in it.
    """
    env = dict(given)
    for path, is_optional in world.get("env_files", ()):
        data = _contents("env_file", path, is_optional=is_optional)
        if data is not None:
            env.update(_variables(path, data))
    for name, path in world.get("env_from_file", {}).items():
        data = _contents(f"env_from_file.{name}", path)
        assert data is not None
        value = data.removesuffix(b"\n").removesuffix(b"\r")
        if b"\0" in value or len(value) + len(name) > _LONGEST_VALUE:
            raise _bad_file(f"env_from_file.{name}", path, "it is no text, or longer than 128 KiB")
        env[name] = os.fsdecode(value)
    return env


def _contents(key: str, path: str, *, is_optional: bool = False) -> bytes | None:
    try:
        fd = _open_file(path)
    except FileNotFoundError as error:
        if is_optional:
            return None
        raise _bad_file(key, path, error.strerror or str(error)) from None
    except OSError as error:
        raise _bad_file(key, path, error.strerror or str(error)) from None
    try:
        data = bytearray()
        while piece := os.read(fd, 65_536):
            data += piece
            if len(data) > _LONGEST_FILE:
                raise _bad_file(key, path, "it is longer than 1 MiB")
        return bytes(data)
    except OSError as error:
        raise _bad_file(key, path, error.strerror or str(error)) from None
    finally:
        os.close(fd)


def _open_file(path: str) -> int:
    """Open for reading what has an end or gives what it has: nothing that a keeper would wait for."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISCHR(mode):
        os.close(fd)
        raise OSError(0, "it is not a file")
    os.set_blocking(fd, True)
    return fd


def _bad_file(key: str, path: str, why: str) -> CannotStart:
    return CannotStart("BadFile", f'{key}: "{path}": {why}', 126)


def _variables(path: str, data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(os.fsdecode(data).split("\n"), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, sign, value = text.partition("=")
        name, value = name.rstrip(), value.lstrip()
        if not sign or not name.isidentifier() or not name.isascii():
            raise _bad_file("env_file", path, f"line {number} is not NAME=value")
        if name.startswith("JOBCTL_"):
            why = f"line {number}: names that begin with JOBCTL_ are given by jobctl"
            raise _bad_file("env_file", path, why)
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        if "\0" in value or len(value) > _LONGEST_VALUE:
            raise _bad_file("env_file", path, f"line {number} is no text, or longer than 128 KiB")
        found[name] = value
    return found


def open_input(world: Mapping[str, Any]) -> int:
    """What the command reads as its standard input: a new descriptor, close-on-exec.

    A text is a file in memory, at its begin and read-only: a pipe would hold 64 KiB of it. A file is
    opened by who calls this, so that a command of another user reads what that user may read.

    Raises:
        CannotStart: it cannot be opened.
    """
    path = world.get("stdin_file")
    if path is not None:
        try:
            return _open_file(path)
        except OSError as error:
            raise _bad_file("stdin_file", path, error.strerror or str(error)) from None
    text = world.get("stdin")
    try:
        if not text:
            return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        written = os.memfd_create("stdin", os.MFD_CLOEXEC)
        try:
            left = memoryview(text.encode(errors="surrogateescape"))
            while left:
                left = left[os.write(written, left) :]
            return os.open(f"/proc/self/fd/{written}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(written)
    except OSError as error:
        raise CannotStart("CannotStart", f"stdin: {error.strerror}", 126) from None


def restrict(world: Mapping[str, Any]) -> None:
    """Take the priorities and limits, in the process that is to become the command.

    While it still has the daemon's rights: only root may raise a limit or a priority. Limits count for this
    process and, one by one, for what it starts; ``max_processes`` counts all that its user runs.

    Raises:
        CannotStart: the kernel refuses one of them.
    """
    for name, value in world.get("limits", {}).items():
        if name != "address_space":
            _limit(name, value)
    if "nice" in world:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, world["nice"])
        except OSError as error:
            raise _refused("nice", world["nice"], error) from None
    if "ionice" in world:
        priority_class, level = world["ionice"]
        try:
            kernel.set_io_priority(priority_class, level)
        except OSError as error:
            raise _refused("ionice", f"{priority_class}:{level}", error) from None


def restrict_memory(world: Mapping[str, Any]) -> None:
    """Take the limit of the address space: last of all, since this process may have more than that already.

    Raises:
        CannotStart: the kernel refuses it.
    """
    value = world.get("limits", {}).get("address_space")
    if value is not None:
        _limit("address_space", value)


def _limit(name: str, value: int) -> None:
    # Both: what the command could raise again would be no limit.
    both = (value, value + _CPU_PATIENCE_S) if name == "cpu_time" else (value, value)
    try:
        resource.setrlimit(_LIMITS[name], both)
    except (OSError, ValueError) as error:
        raise _refused(name, value, error) from None


def _refused(name: str, value: object, error: Exception) -> CannotStart:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return CannotStart("LimitRefused", f"{name} = {value}: {why}", 126)
