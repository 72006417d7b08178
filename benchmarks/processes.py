"""Processes: starting and ending them, and what the kernel says about their memory and time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import ContestantFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from subprocess import Popen  # noqa: TID251 -- the type only

ROOT = Path(__file__).parents[1]
"""The folder that holds this package: peers get it as PYTHONPATH."""

MIB = 1 << 20

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
"""What every process starts with, peers too: as an administrator has it, who has set nothing for Python.

PYTHONDONTWRITEBYTECODE above all would let each process of an installation that is not compiled yet
compile again all that it imports, which costs more than everything else and stays in its memory.
"""


def start(argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> Popen[bytes]:
    """Start a process in a session of its own; what it says goes to ``log``."""
    with log.open("ab") as file:
        return subprocess.Popen(  # noqa: TID251 -- a driver outside jobctl
            argv,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**ENVIRONMENT, **(env or {})},
            cwd=ROOT,
            start_new_session=True,
        )


def end(process: Popen[bytes], *, patience_s: float = 10.0) -> None:
    """Ask a process to end, and kill it and its descendants if it does not."""
    descendants = family(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)
    for pid in descendants if process.poll() is None else [p for p in descendants if is_alive(p)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
    process.wait()


def output_of(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, limit_s: float = 300.0
) -> str:
    """What a program prints. Raises ContestantFailed for any other end than success."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**ENVIRONMENT, **(env or {})},
            cwd=ROOT,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired as error:
        raise ContestantFailed(f"{Path(argv[0]).name} took more than {limit_s:g} s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        said = lines[-1] if lines else "nothing said"
        raise ContestantFailed(f"{Path(argv[0]).name} ended with {done.returncode}: {said}")
    return done.stdout


def seconds_of(argv: Sequence[str], *, env: Mapping[str, str]) -> float:
    """How long a whole process takes, from its start until it is reaped.

    ``env`` is all of its environment. Its output is dropped. Raises ContestantFailed when it fails.
    """
    nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    begin = time.perf_counter()
    pid = os.posix_spawn(argv[0], list(argv), env, file_actions=nowhere)
    _, status = os.waitpid(pid, 0)
    spent = time.perf_counter() - begin
    if status != 0:
        raise ContestantFailed(f"{Path(argv[0]).name} ended with status {status}")
    return spent


# -- what the kernel knows ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What processes have used up since their starts: time on a processor, and times woken."""

    cpu_ns: int
    wakeups: int


def is_alive(pid: int) -> bool:
    """There is such a process, and it is no zombie."""
    with contextlib.suppress(OSError):
        return _stat(pid)[0] not in ("Z", "X")
    return False


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _all() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def family(pid: int) -> list[int]:
    """A process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for other in _all():
        with contextlib.suppress(OSError):
            fields = _stat(other)
            if fields[0] not in ("Z", "X"):
                children.setdefault(int(fields[1]), []).append(other)
    found = [pid]
    for one in found:
        found.extend(children.get(one, ()))
    return found


def naming(text: str) -> list[int]:
    """Living processes, without this one, that have ``text`` in their command line or environment."""
    found = []
    for pid in _all():
        with contextlib.suppress(OSError):
            folder = Path(f"/proc/{pid}")
            told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            if pid != os.getpid() and text.encode() in told and is_alive(pid):
                found.append(pid)
    return found


def name_of(pid: int) -> str:
    """The name of the program that a process executes; empty when it has gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/exe").readlink().name
    return ""


def pss_mib(pids: Iterable[int]) -> float:
    """Memory of these processes: a page that several share counts for each with its part."""
    total_kib = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total_kib += int(line.split()[1])
    return total_kib * 1024 / MIB


def cpu_ns_of(pid: int) -> int:
    """How long the first thread of a process has been on a processor; 0 when it has gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    return 0


def spent_by(pids: Iterable[int]) -> Spent:
    """What all threads of these processes have used up."""
    cpu_ns = wakeups = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            # Not the ticks of /proc/PID/stat: what wakes for microseconds would seem free.
            cpu_ns += int((thread / "schedstat").read_text().split()[0])
            for line in (thread / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    wakeups += int(line.split()[1])
    return Spent(cpu_ns=cpu_ns, wakeups=wakeups)
