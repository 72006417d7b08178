"""What is so on this host: read, never judged here, never changed.

What cannot be found out is None (or left out of a mapping); nothing here raises because of it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobctl.config import load_in_child
from jobctl.daemon.lock import holder_of
from jobctl.engine.local import holder
from jobctl.errors import ConfigError, JobctlError
from jobctl.paths import StateDirectory, connect_unix
from jobctl.plan import FilePlan, merge
from jobctl.store.copying import UNFINISHED
from jobctl.store.database import file_system_of, restoring, sqlite_version
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON_S: Final = 30.0
"""How long an interpreter may take to tell its version."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A file or folder. ``mode`` are its permission bits; ``is_writable``: for who asks."""

    path: str
    uid: int
    mode: int
    is_writable: bool


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The file system of the state directory."""

    kind: str
    size_bytes: int
    free_bytes: int
    inodes: int
    free_inodes: int
    is_read_only: bool


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """The Python of a worker group: ``version`` as a tuple, or ``trouble``."""

    group: str
    python: str
    version: tuple[int, ...] | None
    trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that was looked at. ``daemon_pid``: of the one that serves, None when none does.

    ``cgroups`` are the hierarchies that are mounted, ``delegated`` tells whether the daemon (or who asks) may
    make groups, None without version 2; ``controllers`` are those that are on there.
    ``busy`` are living workers, ``dead`` folders of dead templates; ``unfinished`` are files that something
    was killed over; ``is_restoring``: a restore was cut short.
    """

    uid: int
    python: tuple[int, ...]
    kernel: tuple[int, ...]
    sqlite: str
    state: Place | None
    parent: Place | None
    disk: Disk | None
    store: Place | None
    config: Place | None
    config_path: str
    problems: tuple[str, ...]
    socket: Place | None
    socket_folder: Place | None
    socket_answers: bool
    daemon_pid: int | None
    open_files: tuple[int, int]
    processes: tuple[int, int]
    is_clock_synchronised: bool | None
    now_s: float
    cgroups: tuple[str, ...]
    controllers: tuple[str, ...]
    delegated: bool | None
    busy: tuple[int, ...]
    dead: tuple[str, ...]
    unfinished: tuple[str, ...]
    is_restoring: bool
    interpreters: tuple[Interpreter, ...]


def look(state: StateDirectory, config: Path, socket: Path, now_s: float) -> Facts:
    """Look at everything."""
    plan, problems = _plan(config)
    pid = _serving(state)
    cgroups, controllers, delegated = _cgroups(pid)
    return Facts(
        uid=os.geteuid(),
        python=tuple(sys.version_info[:3]),
        kernel=_numbers(platform.release()),
        sqlite=sqlite_version(),
        state=_place(state.root),
        parent=_place(_nearest(state.root.parent)),
        disk=_disk(_nearest(state.root)),
        store=_place(state.database),
        config=_place(config),
        config_path=str(config),
        problems=problems,
        socket=_place(socket),
        socket_folder=_place(socket.parent),
        socket_answers=_answers(socket),
        daemon_pid=pid,
        open_files=_limit(pid, resource.RLIMIT_NOFILE),
        processes=_limit(pid, resource.RLIMIT_NPROC),
        is_clock_synchronised=_is_synchronised(),
        now_s=now_s,
        cgroups=cgroups,
        controllers=controllers,
        delegated=delegated,
        busy=tuple(_busy(state)),
        dead=tuple(_dead(state)),
        unfinished=tuple(_unfinished(state)),
        is_restoring=_exists(restoring(state.database)),
        interpreters=tuple(_interpreters(plan)),
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    while not _exists(path) and path != path.parent:
        path = path.parent
    return path


def _place(path: Path) -> Place | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return Place(
        path=str(path),
        uid=found.st_uid,
        mode=stat.S_IMODE(found.st_mode),
        is_writable=os.access(path, os.W_OK),
    )


def _disk(path: Path) -> Disk | None:
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return Disk(
        kind=file_system_of(path),
        size_bytes=found.f_blocks * found.f_frsize,
        free_bytes=found.f_bavail * found.f_frsize,
        inodes=found.f_files,
        free_inodes=found.f_favail,
        is_read_only=bool(found.f_flag & os.ST_RDONLY),
    )


def _plan(config: Path) -> tuple[FilePlan, tuple[str, ...]]:
    if not _exists(config):
        return FilePlan(), ()
    try:
        return load_in_child(config), ()
    except ConfigError as error:
        return FilePlan(), tuple(problem.message for problem in error.problems)


def _serving(state: StateDirectory) -> int | None:
    try:
        pid, is_serving = holder_of(state)
    except OSError:
        return None
    return pid if is_serving else None


def _answers(socket: Path) -> bool:
    try:
        connect_unix(socket).close()
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def _limit(pid: int | None, which: int) -> tuple[int, int]:
    """Of the daemon that serves, else of this process: what a daemon started from here would get."""
    try:
        return resource.prlimit(pid or 0, which)
    except OSError:
        return resource.getrlimit(which)


class _Timex(ctypes.Structure):
    """``struct timex`` up to what is read of it, and room for the rest (adjtimex(2))."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


_STA_UNSYNC: Final = 0x40


def _is_synchronised() -> bool | None:
    """What the kernel knows of it: whether somebody (NTP, the hypervisor) keeps the clock right."""
    read = _Timex()
    try:
        if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(read)) < 0:
            return None
    except (OSError, AttributeError):
        return None
    return not read.status & _STA_UNSYNC


def _cgroups(pid: int | None) -> tuple[tuple[str, ...], tuple[str, ...], bool | None]:
    """Mounted hierarchies; the controllers of version 2, and whether groups may be made there."""
    kinds, unified = [], None
    for line in _lines(Path("/proc/self/mountinfo")):
        fields, _, rest = line.partition(" - ")
        kind = rest.split()[0] if rest else ""
        if kind == "cgroup2":
            unified = Path(fields.split()[4])
        if kind.startswith("cgroup") and kind not in kinds:
            kinds.append(kind)
    if unified is None:
        return tuple(kinds), (), None
    own = next(
        (
            line.partition("::")[2]
            for line in _lines(Path(f"/proc/{pid or 'self'}/cgroup"))
            if line.startswith("0::")
        ),
        "/",
    )
    home = unified / own.lstrip("/")
    controllers = " ".join(_lines(home / "cgroup.controllers")).split()
    return tuple(kinds), tuple(controllers), os.access(home, os.W_OK)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _busy(state: StateDirectory) -> Iterator[int]:
    for folder in _folders(state.run, "*/*"):
        found = holder.living(folder)
        if found is not None and not found.kind.startswith("template"):
            yield found.pid


def _dead(state: StateDirectory) -> Iterator[str]:
    for folder in _folders(state.run, "*"):
        if not holder.is_locked(folder):
            yield folder.name


def _folders(root: Path, pattern: str) -> Iterator[Path]:
    try:
        found = sorted(root.glob(pattern))
    except OSError:
        return
    yield from (path for path in found if path.is_dir() and not path.is_symlink())


def _unfinished(state: StateDirectory) -> Iterator[str]:
    for folder in (state.root, state.backups):
        try:
            yield from (str(path) for path in sorted(folder.glob(f"*{UNFINISHED}")))
        except OSError:
            continue


def _interpreters(file: FilePlan) -> Iterator[Interpreter]:
    try:
        groups = merge(file, strict=False).groups
    except JobctlError:
        return
    for group in groups.values():
        if group.python is not None:
            yield _interpreter(group.name, group.python, group.user)


def _interpreter(group: str, python: str, user: str | None) -> Interpreter:
    """Asked as the user of the group: root must not run what another user may have put there."""
    others: dict[str, object] = {}
    if os.geteuid() == 0 and user is not None:
        others = {"user": int(user) if user.isdecimal() else user, "extra_groups": []}
    try:
        ended = subprocess.run(  # type: ignore[call-overload]
            [python, "-I", "-S", "-c", "import sys; print(*sys.version_info[:3])"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            timeout=PYTHON_S,
            check=False,
            **others,
        )
        version = tuple(int(word) for word in ended.stdout.split())
    except (OSError, ValueError, KeyError, LookupError, subprocess.SubprocessError) as error:
        trouble = str(getattr(error, "strerror", None) or error)
        return Interpreter(group=group, python=python, version=None, trouble=trouble)
    if not version:
        said = ended.stderr.strip().splitlines()
        trouble = said[-1] if said else f"it ended with {ended.returncode}"
        return Interpreter(group=group, python=python, version=None, trouble=trouble)
    return Interpreter(group=group, python=python, version=version)


def _numbers(text: str) -> tuple[int, ...]:
    """The version in ``6.1.0-18-amd64``: (6, 1, 0)."""
    found = []
    for word in text.partition("-")[0].split("."):
        if not word.isdecimal():
            break
        found.append(int(word))
    return tuple(found)
