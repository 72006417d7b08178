"""Finding and signalling the processes that belong to an attempt.

While a keeper lives, everything its command started is below it in the process tree, because it is a
subreaper: the tree is exact, whatever the processes did to their sessions and environments. When the
keeper is dead the tree is gone. Then a cgroup is exact, and without one the session and the
environment are searched, which a process can escape.

Signals go through pidfds: a pid may have been given to another process since it was read.
"""

from __future__ import annotations

import os

from jobctl.worker.signals import signal

_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


def children(pid: int) -> list[int]:
    """Living and dead direct children of ``pid``; empty when it is gone.

    A kernel without CONFIG_PROC_CHILDREN has no such file; then all of /proc is read.
    """
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found.extend(int(child) for child in file.read().split())
        except FileNotFoundError:
            if not os.path.exists(f"/proc/{pid}/task"):
                return found
            return [child for child in all_pids() if _parent(child) == pid]
        except OSError:
            continue
    return found


def descendants(pid: int) -> list[int]:
    """Everything below ``pid`` in the process tree, parents before children."""
    found: list[int] = []
    todo = children(pid)
    while todo:
        child = todo.pop(0)
        found.append(child)
        todo.extend(children(child))
    return found


def all_pids() -> list[int]:
    """Every process that this one can see."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def is_alive(pid: int) -> bool:
    """The process exists and is not a zombie (which a signal would still reach)."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in (b"Z", b"X")


def is_computing(pid: int) -> bool:
    """The process is on a processor, or waits for one; not while it sleeps, is stopped or is gone."""
    return _stat(pid)[:1] == [b"R"]


def resident_bytes(pid: int) -> int:
    """How much memory of a process is in use, what it shares with others included (proc(5), statm); 0 when
    it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def session_of(pid: int) -> int:
    """The process's session id, 0 when it is gone."""
    fields = _stat(pid)
    return int(fields[3]) if fields else 0


def uid_of(pid: int) -> int:
    """The real user of a process, -1 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"Uid:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return -1


def carries(pid: int, variable: bytes) -> bool:
    """``variable`` (``b"NAME=value"``) stands in the environment with which the process was started.

    A process can overwrite that memory: a hit proves, a miss does not.
    """
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return variable in file.read().split(b"\0")
    except OSError:
        return False


def has_open(pid: int, path: str) -> bool:
    """The process holds a descriptor of the file ``path``; False when it cannot be looked at."""
    folder = f"/proc/{pid}/fd"
    try:
        return any(os.readlink(f"{folder}/{number}") == path for number in os.listdir(folder))
    except OSError:
        return False


def in_cgroup(cgroup: str) -> list[int]:
    """Every living process of a cgroup and of those below it; empty when it does not exist."""
    found: list[int] = []
    for folder, _, _ in os.walk(cgroup):
        try:
            with open(f"{folder}/cgroup.procs", "rb") as file:
                found.extend(int(pid) for pid in file.read().split())
        except OSError:
            continue
    return [pid for pid in found if is_alive(pid)]


def send(pid: int, number: int) -> bool:
    """Send a signal; False when the process is gone or not ours to signal."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def freeze(pid: int) -> list[int]:
    """Stop a process and everything below it (SIGSTOP), parents before children; what was stopped.

    Nothing that is stopped starts anything or ends anything: the tree is whole, and stays so.
    """
    frozen: list[int] = []
    found = [pid]
    while found:
        for number in found:
            send(number, signal.SIGSTOP)
        frozen.extend(found)
        # Until nothing new is found: one that ran on another processor may have forked meanwhile.
        found = [number for number in descendants(pid) if number not in frozen]
    return frozen


def end_tree(pid: int) -> None:
    """Kill a process and everything below it, so that nothing escapes by forking meanwhile."""
    for number in reversed(freeze(pid)):
        send(number, signal.SIGKILL)
