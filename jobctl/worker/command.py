"""Starting one command: its user, folder, environment, descriptors and signals.

What is trusted: the order comes from the daemon, over a socket in a folder that only its user can
enter. Nothing of it is put into a shell string: a ``shell`` line of a task is handed to ``/bin/sh -c``
as it stands in the configuration, and arguments follow it as ``"$1"``, ``"$2"`` …

A command of the daemon's own user is started with posix_spawn(3), which does not copy the keeper's
page tables: 3,880 starts a second against 1,390 with fork (two processes, /bin/true). A command of
another user or group, or with a priority or a limit, needs steps between fork and exec that posix_spawn
does not have.
"""

from __future__ import annotations

import os

from jobctl.reports import DESCRIPTOR
from jobctl.worker import bounds, world
from jobctl.worker.failure import CannotStart
from jobctl.worker.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ALL_SIGNALS = frozenset(range(1, signal.NSIG)) - {
    signal.SIGKILL,
    signal.SIGSTOP,
    # glibc keeps these two for itself and refuses to touch them.
    32,
    33,
}


def start(
    order: Mapping[str, Any],
    stdout: int,
    stderr: int,
    progress: int = -1,
    *,
    cgroups: Sequence[str] = (),
) -> int:
    """Start the command of an order in a session of its own; gives back its pid.

    ``stdout``, ``stderr`` and ``progress`` are the write ends for it; -1 for the last one: it says nothing of
    how far it has come. ``cgroups`` are joined. Keys of ``order`` used here: ``argv``, ``env``,
    ``cwd``, ``umask``, ``uid``, ``gid``, ``groups`` when it runs as another user or ``changes_group``, and
    ``world`` (`jobctl.worker.world`) when it asks for more.

    Raises:
        CannotStart: no such command, folder or permission. Nothing was started.
    """
    argv: list[str] = order["argv"]
    env: dict[str, str] = order["env"]
    asked = order.get("world")
    if asked is not None:
        env = world.environment(env, asked)
    needs_fork = progress >= 0 or cgroups or (asked is not None and world.needs_fork(asked))
    if needs_fork or _changes_account(order):
        return _start_by_fork(order, argv, env, (stdout, stderr, progress), cgroups)
    if asked is None:
        return _spawn(order, argv, env, (-1, stdout, stderr))
    stdin = world.open_input(asked)
    try:
        return _spawn(order, argv, env, (stdin, stdout, stderr))
    finally:
        os.close(stdin)


def _changes_account(order: Mapping[str, Any]) -> bool:
    is_other = order.get("uid") is not None and order["uid"] != os.geteuid()
    return is_other or "changes_group" in order


def _spawn(
    order: Mapping[str, Any], argv: list[str], env: dict[str, str], streams: tuple[int, int, int]
) -> int:
    """Start it with posix_spawn. ``streams`` are 0, 1 and 2 for it; -1 as the first is nothing to read."""
    stdin, stdout, stderr = streams
    cwd = order["cwd"]
    try:
        os.chdir(cwd)
    except OSError as error:
        raise _bad_folder(cwd, error) from None
    old_umask = os.umask(order["umask"])
    try:
        program = _find(argv[0], env)
        return os.posix_spawn(
            program,
            argv,
            env,
            file_actions=(
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)
                if stdin < 0
                else (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, stdout, 1),
                (os.POSIX_SPAWN_DUP2, stderr, 2),
            ),
            setsid=True,
            setsigmask=(),
            setsigdef=_ALL_SIGNALS,
        )
    except OSError as error:
        raise _bad_program(argv[0], error) from None
    except ValueError as error:
        raise CannotStart("InvalidCommand", str(error), 126) from None
    finally:
        os.umask(old_umask)
        os.chdir("/")


def _find(name: str, env: Mapping[str, str]) -> str:
    """The file that ``name`` means in the command's own PATH.

    Raises:
        CannotStart: nothing executable of that name.
    """
    if "/" in name:
        return name
    for folder in env.get("PATH", DEFAULT_PATH).split(":"):
        path = f"{folder or '.'}/{name}"
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    raise CannotStart(
        "CommandNotFound", f'command "{name}" was not found in PATH {env.get("PATH", "")}', 127
    )


def _bad_program(name: str, error: OSError) -> CannotStart:
    if isinstance(error, FileNotFoundError):
        # A script whose interpreter is missing ends here as well.
        return CannotStart("CommandNotFound", f'command "{name}" does not exist', 127)
    return CannotStart("CannotStart", f'command "{name}": {error.strerror}', 126)


def _bad_folder(cwd: str, error: OSError) -> CannotStart:
    return CannotStart("BadFolder", f'folder "{cwd}" cannot be entered: {error.strerror}', 126)


def _start_by_fork(
    order: Mapping[str, Any],
    argv: list[str],
    env: dict[str, str],
    outputs: tuple[int, int, int],
    cgroups: Sequence[str],
) -> int:
    report, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(report)
        _become_and_exec(order, argv, env, outputs, tell, cgroups)
    os.close(tell)
    with os.fdopen(report, "rb") as pipe:
        # Ends at once when the command has started: the write end is close-on-exec.
        failure = pipe.read()
    if not failure:
        return pid
    os.waitpid(pid, 0)
    kind, code, message = failure.decode(errors="replace").split("\0", 2)
    raise CannotStart(kind, message, int(code))


def _become_and_exec(
    order: Mapping[str, Any],
    argv: list[str],
    env: dict[str, str],
    outputs: tuple[int, int, int],
    tell: int,
    cgroups: Sequence[str],
) -> NoReturn:
    """In the child: take its limits, drop to the order's user, prove it, and become the command."""
    try:
        asked = order.get("world") or {}
        os.setsid()
        os.dup2(outputs[0], 1)
        os.dup2(outputs[1], 2)
        if outputs[2] >= 0:
            tell = _place_progress(outputs[2], tell)
        bounds.join(cgroups)
        world.restrict(asked)
        if _changes_account(order):
            _become_of(order)
        # As the user: root's rights open no file for it.
        os.dup2(world.open_input(asked), 0)
        try:
            os.chdir(order["cwd"])
        except OSError as error:
            raise _bad_folder(order["cwd"], error) from None
        os.umask(order["umask"])
        program = _find(argv[0], env)
        for number in _ALL_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        world.restrict_memory(asked)
        try:
            os.execve(program, argv, env)  # noqa: S606 -- the product
        except OSError as error:
            raise _bad_program(argv[0], error) from None
    except CannotStart as failure:
        _tell(tell, failure.kind, failure.exit_code, failure.message)
    except BaseException as error:  # noqa: BLE001 -- the child must end here, whatever it met
        _tell(tell, "CannotStart", 126, str(error))
    finally:
        # Also when the message could not be written: this is a copy of the keeper.
        os._exit(126)


def _place_progress(pipe: int, tell: int) -> int:
    """Make a pipe the descriptor of reports; gives back where ``tell`` is afterwards.

    A shell can name no descriptor above 9, so it is a fixed one. What stands there may be the keeper's lock,
    which must be held until exec: it goes on under another number.
    """
    if pipe == DESCRIPTOR:
        os.set_inheritable(pipe, True)
        return tell
    try:
        moved = os.dup(DESCRIPTOR)
    except OSError:
        moved = -1  # Nothing stands there.
    os.dup2(pipe, DESCRIPTOR)
    return moved if tell == DESCRIPTOR else tell


def _become_of(order: Mapping[str, Any]) -> None:
    try:
        become(order["uid"], order["gid"], order["groups"])
    except PermissionError as error:
        if os.geteuid() == 0:
            raise
        who = f"user {order['uid']} and group {order['gid']}"
        message = f"only a daemon of root can run a command as {who}: {error.strerror}"
        raise CannotStart("CannotChangeUser", message, 126) from None


def _tell(pipe: int, kind: str, exit_code: int, message: str) -> None:
    # A message names what was typed, which need not be valid Unicode.
    os.write(pipe, f"{kind}\0{exit_code}\0{message}".encode(errors="backslashreplace"))


def become(uid: int, gid: int, groups: list[int]) -> None:
    """Give up root for another user, for good, and prove it.

    Every call is checked, and what the kernel now says is compared with what was asked: an unchecked
    ``setuid`` has run jobs as root before (CVE-2006-2607).

    Raises:
        OSError, PermissionError: a step failed, or the proof did.
    """
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid):
        raise PermissionError(f"the user could not be changed to {uid}")
    if set(os.getgroups()) != set(groups):
        raise PermissionError(f"the groups could not be changed to {groups}")
    if uid != 0:
        try:
            os.setuid(0)
        except PermissionError:
            return
        raise PermissionError("root could be regained after it was given up")
