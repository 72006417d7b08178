"""Judging what was seen: one finding for each subject, and what to do where something is not right."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from jobctl.store.database import is_network_file_system
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobctl.daemon.doctor.facts import Facts, Place


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    """As it should be."""
    WARNING = "warning"
    """It runs, and something will be missing one day."""
    ERROR = "error"
    """No daemon can run like this, or it cannot keep its promises."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One subject. ``hint`` says what to do now, empty when it is as it should be."""

    subject: str
    level: Level
    message: str
    hint: str = ""


MINIMUM_PYTHON: Final = (3, 11)
LEAST_FREE_BYTES: Final = 256 << 20
LEAST_FREE_SHARE: Final = 0.05
LEAST_INODES: Final = 10_000
LEAST_OPEN_FILES: Final = 4096
LEAST_PROCESSES: Final = 512
_FIRST_SENSIBLE_S: Final = 1_767_225_600.0
"""2026: this program is no older."""

_WIDE: Final = 0o022


def judge(facts: Facts) -> list[Finding]:
    """Every finding, in the order in which a daemon meets its subjects when it starts."""
    return [
        *_python(facts),
        *_sqlite(facts),
        *_config(facts),
        *_state(facts),
        *_disk(facts),
        *_store(facts),
        *_socket(facts),
        *_limits(facts),
        *_clock(facts),
        *_cgroups(facts),
        *_leftovers(facts),
        *_interpreters(facts),
    ]


def _ok(subject: str, message: str) -> Finding:
    return Finding(subject=subject, level=Level.OK, message=message)


def _warning(subject: str, message: str, hint: str) -> Finding:
    return Finding(subject=subject, level=Level.WARNING, message=message, hint=hint)


def _error(subject: str, message: str, hint: str) -> Finding:
    return Finding(subject=subject, level=Level.ERROR, message=message, hint=hint)


def version_text(version: tuple[int, ...]) -> str:
    """``3.11.2``."""
    return ".".join(map(str, version))


def _python(facts: Facts) -> Iterator[Finding]:
    yield _ok("python", f"Python {version_text(facts.python)}")


def has_wal_reset_bug(version: str) -> bool:
    """SQLite 3.7.0 to 3.51.2 can lose commits when one connection writes the log back while another one
    commits (sqlite.org/wal.html, "The WAL-Reset Bug"); mended in 3.51.3, and in 3.50.7 and 3.44.6."""
    numbers = tuple(int(word) for word in version.split(".")[:3])
    if (3, 44, 6) <= numbers < (3, 45) or (3, 50, 7) <= numbers < (3, 51):
        return False
    return (3, 7, 0) <= numbers < (3, 51, 3)


def _sqlite(facts: Facts) -> Iterator[Finding]:
    if has_wal_reset_bug(facts.sqlite):
        yield _warning(
            "sqlite",
            f"SQLite {facts.sqlite} has the WAL-reset bug; the daemon's one connection does not meet it, "
            "another program that writes to the store would",
            "Install the apsw of PyPI, which brings a newer SQLite: pip install --upgrade apsw",
        )
    else:
        yield _ok("sqlite", f"SQLite {facts.sqlite}, without the WAL-reset bug")


def _config(facts: Facts) -> Iterator[Finding]:
    if facts.problems:
        count = len(facts.problems)
        more = f" (and {count - 1} more)" if count > 1 else ""
        yield _error(
            "configuration",
            f'"{facts.config_path}": {facts.problems[0]}{more}',
            f"jobctl check {facts.config_path}",
        )
    elif facts.config is None:
        yield _ok("configuration", f'there is no "{facts.config_path}": the defaults hold')
    elif facts.config.mode & _WIDE:
        yield _error(
            "configuration",
            f'others than its owner may write into "{facts.config_path}": they decide what runs',
            f"chmod go-w {facts.config_path}",
        )
    elif facts.config.uid not in (0, facts.uid):
        yield _warning(
            "configuration",
            f'"{facts.config_path}" belongs to uid {facts.config.uid}, who decides what runs',
            f"chown {facts.uid} {facts.config_path}",
        )
    else:
        yield _ok("configuration", f'"{facts.config_path}"')


def _state(facts: Facts) -> Iterator[Finding]:
    state, parent = facts.state, facts.parent
    if state is None:
        if parent is not None and parent.is_writable:
            yield _ok("state directory", f'not there yet; "{parent.path}" can be written')
        else:
            where = parent.path if parent is not None else "/"
            yield _error(
                "state directory",
                f'it cannot be made: "{where}" cannot be written',
                "Make it for the daemon's user, or set state_dir.",
            )
        return
    yield from _judge_state(facts, state)


def _judge_state(facts: Facts, state: Place) -> Iterator[Finding]:
    if state.mode & 0o002:
        yield _error(
            "state directory", f'everybody may write into "{state.path}"', f"chmod o-w {state.path}"
        )
    elif state.uid != facts.uid and facts.uid != 0:
        yield _error(
            "state directory",
            f'"{state.path}" belongs to uid {state.uid}, not to {facts.uid}',
            "Run this as the daemon's user, or set state_dir.",
        )
    elif not state.is_writable:
        yield _error(
            "state directory",
            f'"{state.path}" cannot be written',
            f"chown -R {facts.uid} {state.path}; if its disk is read-only: dmesg says why.",
        )
    else:
        yield _ok("state directory", f'"{state.path}"')


def _disk(facts: Facts) -> Iterator[Finding]:
    disk = facts.disk
    if disk is None:
        return
    if is_network_file_system(disk.kind):
        yield _error(
            "file system",
            f"the state directory lies on {disk.kind}, a network file system",
            "SQLite's log cannot be trusted there; set state_dir to a local folder.",
        )
    elif disk.is_read_only:
        yield _error(
            "file system",
            f"it is read-only ({disk.kind})",
            "dmesg says why; mount it for writing: mount -o remount,rw",
        )
    else:
        yield _ok("file system", disk.kind)
    free = f"{disk.free_bytes >> 20} MiB of {disk.size_bytes >> 20} MiB are free"
    if disk.free_bytes < min(LEAST_FREE_BYTES, disk.size_bytes * LEAST_FREE_SHARE):
        yield _warning(
            "space",
            free,
            "Free some; jobctl db stats tells what the store takes, keep_output bounds outputs.",
        )
    else:
        yield _ok("space", free)
    # Some file systems have no fixed number of them, and tell 0.
    if disk.inodes and disk.free_inodes < LEAST_INODES:
        yield _warning(
            "inodes",
            f"{disk.free_inodes} of {disk.inodes} are free",
            "Remove small files; keep_output removes outputs.",
        )


def _store(facts: Facts) -> Iterator[Finding]:
    store = facts.store
    if facts.is_restoring:
        yield _error("store", "a restore was cut short", "Run the same jobctl db restore again.")
    elif store is None:
        return
    elif store.mode & _WIDE:
        yield _error("store", f'others may write into "{store.path}"', f"chmod go-rwx {store.path}")
    elif facts.state is not None and store.uid != facts.state.uid:
        yield _error(
            "store",
            f'"{store.path}" belongs to uid {store.uid}, its folder to uid {facts.state.uid}',
            f"chown {facts.state.uid} {store.path} {store.path}-wal",
        )
    else:
        yield _ok("store", f'"{store.path}"; jobctl db check looks into it')


def _socket(facts: Facts) -> Iterator[Finding]:
    folder = facts.socket_folder
    if folder is not None and folder.mode & 0o002 and not folder.mode & 0o1000:
        yield _error(
            "socket",
            f'everybody may replace the socket in "{folder.path}"',
            f"chmod o-w {folder.path}, or set socket to another folder.",
        )
    elif facts.socket_answers:
        mode = f"{facts.socket.mode:04o}" if facts.socket is not None else "?"
        yield _ok("socket", f"a daemon listens, mode {mode}")
    elif facts.daemon_pid is not None:
        yield _error(
            "socket",
            f"the daemon (pid {facts.daemon_pid}) serves, but nobody listens at the configured socket",
            "Was it started with another configuration, or was the socket removed? Restart it.",
        )
    else:
        yield _warning(
            "socket", "no daemon listens", "Start it: jobctl daemon, or: systemctl start jobctl"
        )


def _limits(facts: Facts) -> Iterator[Finding]:
    whose = "of the daemon" if facts.daemon_pid is not None else "here"
    for subject, (_, hard), least, key in (
        ("open files", facts.open_files, LEAST_OPEN_FILES, "LimitNOFILE"),
        ("processes", facts.processes, LEAST_PROCESSES, "LimitNPROC"),
    ):
        if 0 <= hard < least:
            yield _warning(
                subject,
                f"the limit {whose} is {hard}: fewer clients and jobs at once",
                f"Raise it to {least} or more: {key}= of the unit, or limits.conf.",
            )
        else:
            yield _ok(subject, f"the limit {whose} is {'none' if hard < 0 else hard}")


def _clock(facts: Facts) -> Iterator[Finding]:
    if facts.now_s < _FIRST_SENSIBLE_S:
        yield _error(
            "clock",
            "it stands before 2026",
            "Set it, and let NTP keep it: timedatectl set-ntp true",
        )
    elif facts.is_clock_synchronised is False:
        yield _warning(
            "clock",
            "nobody keeps it right: schedules follow it wherever it drifts",
            "timedatectl set-ntp true, or install chrony.",
        )
    elif facts.is_clock_synchronised is None:
        yield _ok("clock", "whether it is synchronised cannot be told")
    else:
        yield _ok("clock", "synchronised")


def _cgroups(facts: Facts) -> Iterator[Finding]:
    if facts.delegated is None:
        yield _warning(
            "cgroups",
            "there is no version 2: that nothing is left of a job cannot be proved, and jobs cannot be paused",
            "Boot with systemd.unified_cgroup_hierarchy=1, or mount cgroup2.",
        )
    elif not facts.delegated:
        yield _warning(
            "cgroups",
            "the daemon may make none: that nothing is left of a job cannot be proved",
            "Delegate=yes in the unit; in a container, a writable /sys/fs/cgroup.",
        )
    else:
        told = ", ".join(facts.controllers) or "none"
        yield _ok("cgroups", f"{', '.join(facts.cgroups)}; controllers of version 2: {told}")


def _leftovers(facts: Facts) -> Iterator[Finding]:
    if facts.daemon_pid is not None:
        yield _ok("daemon", f"serves, pid {facts.daemon_pid}; {len(facts.busy)} workers")
        return
    if facts.busy:
        pids = ", ".join(map(str, facts.busy[:10]))
        yield _warning(
            "left over",
            f"no daemon serves, and {len(facts.busy)} workers still live (pids {pids})",
            "Their jobs go on; start the daemon, and it takes them over.",
        )
    if facts.dead:
        yield _warning(
            "left over",
            f"{len(facts.dead)} folders of dead processes lie in run",
            "The next daemon settles and removes them: start it.",
        )
    for path in facts.unfinished:
        yield _warning("left over", f'"{path}" is what a killed copy has left', f"rm {path}")


def _interpreters(facts: Facts) -> Iterator[Finding]:
    for one in facts.interpreters:
        subject = f"worker group {one.group}"
        if one.version is None:
            yield _error(
                subject,
                f'"{one.python}" cannot be run: {one.trouble}',
                "Name an interpreter that the group's user may run.",
            )
        elif one.version < MINIMUM_PYTHON:
            yield _error(
                subject,
                f'"{one.python}" is Python {version_text(one.version)}',
                f"Workers need {version_text(MINIMUM_PYTHON)} or later.",
            )
        else:
            yield _ok(subject, f'"{one.python}" is Python {version_text(one.version)}')
