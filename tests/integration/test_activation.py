"""A listening socket that was made before the daemon, as a service manager does (sd_listen_fds(3))."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.client import Client
from jobctl.daemon.activation import give_access, take_listener
from jobctl.errors import ConfigError, StateDirectoryUnusable
from jobctl.paths import connect_unix
from jobctl.protocol import requests
from tests.support.daemon import Daemon, running_daemon
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

_HAND_OVER = (
    "import os, sys\n"
    "fd = int(sys.argv.pop(1))\n"
    "if fd != 3: os.dup2(fd, 3)\n"
    "os.set_inheritable(3, True)\n"
    "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='jobctl.socket')\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""What a service manager does between fork and exec."""


def told(count: str = "1", pid: int | None = None) -> dict[str, str]:
    """The environment that a manager gives to this process."""
    pid = os.getpid() if pid is None else pid
    return {"LISTEN_PID": str(pid), "LISTEN_FDS": count, "LISTEN_FDNAMES": "x", "PATH": "/bin"}


class Manager:
    """The manager's end: the socket outlives the daemons that it is handed over to."""

    def __init__(self, daemon: Daemon, path: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.listener.bind(str(path))
        self.listener.listen(16)
        self.listener.set_inheritable(True)
        self.daemon = daemon
        own = daemon.launcher
        daemon.pass_fds = (self.listener.fileno(),)
        daemon.launcher = (sys.executable, "-c", _HAND_OVER, str(self.listener.fileno()), *own)


@pytest.fixture
def manager() -> Iterator[Manager]:
    with running_daemon(start=False) as daemon:
        made = Manager(daemon, daemon.socket)
        yield made
        if daemon.process is not None and daemon.process.poll() is None:
            assert daemon.stop("kill") == 0
        made.listener.close()
        daemon.socket.unlink(missing_ok=True)


def test_who_connects_before_the_daemon_is_served_when_it_is_there(manager: Manager) -> None:
    early = connect_unix(manager.daemon.socket, timeout_s=30 * PATIENCE)
    manager.daemon.start()

    with Client.over(early) as client:
        assert client.call(requests.Inspect(what="ping"))


@pytest.mark.slow
def test_the_socket_stays_when_the_daemon_ends_and_serves_the_next_one(manager: Manager) -> None:
    daemon = manager.daemon
    daemon.start()
    first = daemon.shell("exit 3")
    daemon.ended(first)

    assert daemon.stop() == 0

    assert daemon.socket.is_socket()
    daemon.start()
    assert daemon.status(first)["attempts"][0]["exit_code"] == 3


@pytest.mark.slow
def test_nothing_that_the_daemon_starts_inherits_the_socket_or_hears_of_it(
    manager: Manager,
) -> None:
    daemon = manager.daemon
    daemon.start()

    ended = daemon.ended(daemon.shell("env; ls -l /proc/self/fd"))

    output = ended["attempts"][0]["output_tail"]
    assert "LISTEN_" not in output
    assert f"socket:[{os.fstat(manager.listener.fileno()).st_ino}]" not in output
    for worker in daemon.workers("keeper"):
        held = list(Path(f"/proc/{worker['pid']}/fd").iterdir())
        inodes = {str(fd.readlink()) for fd in held}
        assert f"socket:[{os.fstat(manager.listener.fileno()).st_ino}]" not in inodes


def test_a_daemon_that_cannot_start_tells_those_who_wait_why_and_leaves_none_of_them(
    manager: Manager,
) -> None:
    daemon = manager.daemon
    daemon.config.write_text('[tasks.backup]\ncommand = ["/bin/true"]\nretires = 3\n')
    waiting = [connect_unix(daemon.socket, timeout_s=30 * PATIENCE) for _ in range(3)]
    daemon.launch()
    assert daemon.wait_for_exit() == 78

    for each in waiting:
        with pytest.raises(ConfigError, match="retires"):
            Client.over(each)
        each.close()
    with pytest.raises(BlockingIOError):
        manager.listener.accept()


@pytest.mark.slow
def test_a_daemon_whose_clients_would_look_elsewhere_is_refused(manager: Manager) -> None:
    daemon = manager.daemon
    ours = daemon.socket
    daemon.socket = daemon.folder / "elsewhere"
    daemon.launch()
    assert daemon.wait_for_exit() == 78

    daemon.until("the log", lambda: "clients would look for" in daemon.log())
    assert not daemon.socket.exists()
    daemon.socket = ours


@pytest.mark.slow
def test_the_socket_has_the_group_and_mode_of_each_daemons_configuration(manager: Manager) -> None:
    daemon = manager.daemon
    daemon.socket.chmod(0o666)
    group = os.getegid() if os.geteuid() else 4321
    modes = []
    for config in ("[daemon]\n", f'[daemon]\nsocket_group = "{group}"\n', "[daemon]\n"):
        daemon.config.write_text(config)
        daemon.start()
        modes.append(daemon.socket.stat().st_mode & 0o777)
        daemon.stop()

    assert modes == [0o600, 0o660, 0o600]
    assert daemon.socket.stat().st_gid == group


def test_a_group_that_cannot_be_given_is_told_with_what_to_write_instead(tmp_path: Path) -> None:
    with pytest.raises(StateDirectoryUnusable, match="cannot be given") as refused:
        give_access(tmp_path / "gone", gid=None, mode=0o660)

    assert "SocketUser=" in refused.value.hint


def test_what_was_handed_to_another_process_is_left_alone() -> None:
    environ = told(pid=os.getpid() + 1)

    assert take_listener(environ) is None
    assert environ == {"PATH": "/bin"}


def test_more_than_one_socket_is_refused() -> None:
    with pytest.raises(StateDirectoryUnusable, match="2 sockets"):
        take_listener(told("2"))


@pytest.mark.parametrize(
    ("family", "kind", "why"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, "no Unix stream socket"),
        (socket.AF_UNIX, socket.SOCK_DGRAM, "no Unix stream socket"),
        (socket.AF_UNIX, socket.SOCK_STREAM, "nobody listens"),
    ],
)
def test_what_is_no_listening_unix_socket_is_refused(family: int, kind: int, why: str) -> None:
    made = socket.socket(family, kind)

    with pytest.raises(StateDirectoryUnusable, match=why):
        take_listener(told(), first_fd=made.detach())


def test_a_socket_without_a_path_is_refused() -> None:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind("\0jobctl-test-" + os.urandom(4).hex())
    made.listen()

    with pytest.raises(StateDirectoryUnusable, match="no path"):
        take_listener(told(), first_fd=made.detach())


def test_a_descriptor_that_is_no_socket_is_refused(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)

    with pytest.raises(StateDirectoryUnusable, match="cannot be used"):
        take_listener(told(), first_fd=fd)

    os.close(fd)
