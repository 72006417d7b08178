"""What a service manager hears, over a real datagram socket (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.daemon.notify import PATIENCE_AGAIN_S, Notifier
from tests.support.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator


class Manager:
    """The manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def heard(self) -> list[str]:
        """The messages since the last call."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager() -> Iterator[Manager]:
    with tempfile.TemporaryDirectory(prefix="jobctl-") as folder:
        made = Manager(f"{folder}/notify")
        yield made
        made.close()


def told(manager: Manager, **more: str) -> dict[str, str]:
    """The environment that a manager gives."""
    return {"NOTIFY_SOCKET": manager.address, "PATH": "/bin", **more}


def test_ready_and_stopping_carry_a_status(manager: Manager) -> None:
    notifier = Notifier(told(manager), FakeClock())

    notifier.ready("2 tasks")
    notifier.stopping("stopping: keep")

    assert manager.heard() == [
        f"READY=1\nSTATUS=2 tasks\nMAINPID={os.getpid()}",
        "STOPPING=1\nSTATUS=stopping: keep",
    ]


def test_a_reload_carries_the_monotonic_clock_as_notify_reload_wants_it(manager: Manager) -> None:
    Notifier(told(manager), FakeClock(monotonic=12.5)).reloading()

    assert manager.heard() == ["RELOADING=1\nMONOTONIC_USEC=12500000"]


def test_what_the_daemon_starts_cannot_speak_for_it(manager: Manager) -> None:
    environ = told(manager, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid()))

    Notifier(environ, FakeClock())

    assert environ == {"PATH": "/bin"}


def test_the_watchdog_is_fed_twice_as_often_as_it_asks(manager: Manager) -> None:
    clock = FakeClock()
    notifier = Notifier(told(manager, WATCHDOG_USEC="30000000"), clock)
    was_due_at_first = notifier.is_ping_due

    notifier.ping()

    assert manager.heard() == ["WATCHDOG=1"]
    assert notifier.deadline() == clock.monotonic() + 15
    clock.advance(14.9)
    was_due_early = notifier.is_ping_due
    clock.advance(0.1)
    assert (was_due_at_first, was_due_early, notifier.is_ping_due) == (True, False, True)


@pytest.mark.parametrize(
    "watchdog",
    [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}],
    ids=["none", "no number", "for another process"],
)
def test_without_a_watchdog_of_its_own_nothing_is_due(
    manager: Manager, watchdog: dict[str, str]
) -> None:
    notifier = Notifier(told(manager, **watchdog), FakeClock())

    assert not notifier.is_ping_due
    assert notifier.deadline() is None


def test_patience_is_asked_for_once_for_many_turns_and_again_in_time(manager: Manager) -> None:
    clock = FakeClock()
    notifier = Notifier(told(manager), clock)

    for _ in range(1000):
        notifier.still_stopping("waiting for 2 attempts")

    assert manager.heard() == ["EXTEND_TIMEOUT_USEC=30000000\nSTATUS=waiting for 2 attempts"]
    assert notifier.deadline() == clock.monotonic() + PATIENCE_AGAIN_S
    clock.advance(PATIENCE_AGAIN_S)
    notifier.still_stopping("waiting for 2 attempts")
    assert len(manager.heard()) == 1


def test_another_status_while_stopping_is_told_at_once(manager: Manager) -> None:
    notifier = Notifier(told(manager), FakeClock())
    notifier.still_stopping("waiting for 2 attempts")

    notifier.still_stopping("waiting for 1 attempts")

    assert [text.split("STATUS=")[1] for text in manager.heard()] == [
        "waiting for 2 attempts",
        "waiting for 1 attempts",
    ]


def test_an_abstract_address_is_understood() -> None:
    manager = Manager(f"@jobctl-test-{os.getpid()}")
    try:
        Notifier(told(manager), FakeClock()).ready("")
        assert len(manager.heard()) == 1
    finally:
        manager.close()


def test_without_a_manager_nothing_is_said_and_nothing_is_due() -> None:
    notifier = Notifier({}, FakeClock())

    notifier.ready("")
    notifier.still_stopping("")

    assert notifier.deadline() is None


def test_a_manager_that_has_gone_is_no_error(manager: Manager) -> None:
    notifier = Notifier(told(manager), FakeClock())
    Path(manager.address).unlink()

    notifier.ready("")
