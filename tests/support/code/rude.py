"""Functions that leave their worker in disorder; imported by its template."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import locale
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any


def drop_stdout() -> None:
    setattr(sys, "stdout", None)  # noqa: B010 -- what user code does, and no type checker allows
    sys.stderr = sys.stdout


def say(text: str) -> str:
    print(text)  # noqa: T201 -- what is tested
    return text


def make_text(size_bytes: int) -> Any:
    return "x" * size_bytes


def identity() -> list[object]:
    """Who the worker is: user ids, group ids, groups and umask."""
    umask = os.umask(0)
    return [list(os.getresuid()), list(os.getresgid()), sorted(os.getgroups()), umask]


def who() -> list[int]:
    return [os.getuid(), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]


def spoil_folder(elsewhere: str) -> str:
    """Put links where the worker's marks and tickets were, and one to another folder beside them."""
    folder = next(path.parent for path in _open_files() if path.name == "lock")
    for name in ("marks", "tickets"):
        (folder / name).unlink()
        (folder / name).symlink_to(elsewhere)
    (folder.parent / "0123456789abcdef").symlink_to(elsewhere)
    return str(folder)


def fork_in_c(began: str) -> None:
    """Die, and leave a fork in a session of its own that no hook of the interpreter has seen."""
    libc = ctypes.CDLL(None)
    if libc.fork() == 0:
        libc.setsid()
        said = Path(f"{began}.new")
        said.write_text(str(os.getpid()))
        said.rename(began)
        while True:
            time.sleep(3600)
    while not Path(began).exists():
        time.sleep(0.005)
    os._exit(4)


def _listener() -> int:
    """The number of the descriptor at which this worker listens."""
    for link in Path("/proc/self/fd").iterdir():
        if link.is_symlink() and str(link.readlink()).startswith("socket:"):
            with socket.socket(fileno=os.dup(int(link.name))) as found:
                if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    return int(link.name)
    raise AssertionError("this worker does not listen")


def _destroy(how: str) -> None:
    """Make this worker unreachable in one of the ways that user code may find."""
    folder = next(path.parent for path in _open_files() if path.name == "lock")
    place = folder / "sock"
    match how:  # each a member of WAYS in the test
        case "unlink":
            place.unlink()
        case "loop":
            place.unlink()
            place.symlink_to("sock")
        case "link to the template":
            place.unlink()
            place.symlink_to("../sock")
        case "link to the other worker":
            (other,) = [p for p in folder.parent.glob("*/sock") if p != place]
            other.replace(place)
        case "file":
            place.unlink()
            place.write_text("")
        case "close":
            os.close(_listener())
        case "close all":
            # What programs do that become daemons; the lock is kept, or this worker would be dead.
            lock = next(n for n in range(3, 99) if _names(n, "lock"))
            os.closerange(3, lock)
            os.closerange(lock + 1, 256)
        case _:
            raise ValueError(how)


def _names(number: int, name: str) -> bool:
    try:
        return Path(f"/proc/self/fd/{number}").readlink().name == name
    except OSError:
        return False


def hide(how: str, began: str) -> None:
    """Destroy this worker's socket and go on for ever, with a child that does the same."""
    _destroy(how)
    child = os.fork()
    if child:
        Path(f"{began}.new").write_text(f"{os.getpid()}\n{child}\n")
        Path(f"{began}.new").rename(began)
    while True:
        time.sleep(3600)


def hide_and_end(how: str) -> str:
    """Destroy this worker's socket, and return as if nothing had been."""
    _destroy(how)
    return how


def part(began: str, go: str) -> str:
    """End the connection to the daemon, make any other impossible, and go on until a file is there."""
    _destroy("unlink")
    for link in Path("/proc/self/fd").iterdir():
        if link.is_symlink() and str(link.readlink()).startswith("socket:"):
            with socket.socket(fileno=os.dup(int(link.name))) as found:
                if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    found.shutdown(socket.SHUT_RDWR)
    Path(began).write_text(f"{os.getpid()}\n")
    while not Path(go).exists():
        time.sleep(0.005)
    return "went"


def look() -> dict[str, Any]:
    """What a function finds around itself."""
    return {
        "pid": os.getpid(),
        "folder": str(Path.cwd()),
        "umask": _umask(),
        "environment": dict(os.environ),
        "C's environment": sorted(subprocess.check_output(["env"], text=True).splitlines()),
        "timers": [signal.getitimer(n) for n in range(3)],
        "handlers": [str(signal.getsignal(n)) for n in sorted(signal.valid_signals())],
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "traces": [str(f()) for f in (sys.gettrace, sys.getprofile, threading.gettrace)],
        "recursion": sys.getrecursionlimit(),
        "filters": len(warnings.filters),
        "locale": locale.setlocale(locale.LC_ALL),
        "limits": [resource.getrlimit(n) for n in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)],
        "collects": gc.isenabled(),
        "socket": socket.getdefaulttimeout(),
        "outputs": [os.fstat(n).st_ino for n in (1, 2)],
        "streams": [type(s).__name__ for s in (sys.stdout, sys.stderr)],
    }


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _refuse(*_: object) -> None:
    raise RuntimeError("left by another job")


def disturb() -> None:
    """Change all that `look` sees, and leave two clocks behind that would end the next job."""
    os.chdir("/usr")
    os.umask(0o777)
    os.environ["LEFT"] = "behind"
    os.environ["PATH"] = "/nowhere"
    del os.environ["HOME"]
    signal.signal(signal.SIGALRM, _refuse)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGRTMIN, _refuse)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    signal.setitimer(signal.ITIMER_PROF, 3600)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    faulthandler.dump_traceback_later(0.2, exit=True)
    sys.setrecursionlimit(150)
    warnings.simplefilter("error")
    locale.setlocale(locale.LC_ALL, "C.UTF-8")
    for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
        hard = resource.getrlimit(which)[1]
        resource.setrlimit(which, (min(64, hard) if hard >= 0 else 64, hard))
    gc.disable()
    socket.setdefaulttimeout(1)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    setattr(sys, "stdout", None)  # noqa: B010 -- as in `drop_stdout`
    threading.settrace(_trace)
    sys.setprofile(_profile)
    sys.settrace(_trace)


def _trace(*_: object) -> None:
    return None


def _profile(*_: object) -> None:
    return None


def disturb_and_fail() -> None:
    disturb()
    raise ValueError


def replace_environment() -> None:
    """What loads of a second program do."""
    os.environ = {"LEFT": "behind"}  # type: ignore[assignment]  # noqa: B003


def rest(seconds: float) -> str:
    time.sleep(seconds)
    return "rested"


def unlink_marks(began: str) -> None:
    """Remove the marks, say so, and go on for ever."""
    folder = next(path.parent for path in _open_files() if path.name == "lock")
    (folder / "marks").unlink()
    Path(began).write_text(f"{os.getpid()}\n")
    while True:
        time.sleep(3600)


def _open_files() -> list[Path]:
    return [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
