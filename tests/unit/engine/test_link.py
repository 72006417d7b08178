"""The daemon's end of a channel: messages come whole, whatever the pieces."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.engine.local.link import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jobctl.errors import ProtocolError


class FakePoller:
    """Watches nothing: the test says when to read."""

    def watch(
        self, fd: int, callback: Callable[[], None], *, read: bool = True, write: bool = False
    ) -> None: ...

    def unwatch(self, fd: int) -> None: ...


class Heard:
    def __init__(self, connection: socket.socket) -> None:
        self.messages: list[dict[str, Any]] = []
        self.faults: list[ProtocolError] = []
        self.link = Link(
            connection,
            FakePoller(),
            on_messages=self.messages.extend,
            on_fault=self.faults.append,
        )


@pytest.fixture
def ends() -> Iterator[tuple[Heard, socket.socket]]:
    ours, theirs = socket.socketpair()
    heard = Heard(ours)
    with theirs:
        yield heard, theirs
        heard.link.close()


def test_messages_come_whole_whatever_the_pieces(ends: tuple[Heard, socket.socket]) -> None:
    heard, theirs = ends
    said = [{"is": "first", "of": "a" * 10}, {"is": "second"}, {"is": "third"}]
    for byte in b"".join(json.dumps(message).encode() + b"\n" for message in said):
        theirs.send(bytes([byte]))
        heard.link.read()
    assert heard.messages == said


def test_a_long_message_is_joined_once_and_what_follows_it_kept(
    ends: tuple[Heard, socket.socket],
) -> None:
    heard, theirs = ends
    text = "x" * (3 << 20)
    data = json.dumps({"is": "long", "text": text}).encode() + b'\n{"is": "next"}\n{"is"'
    for start in range(0, len(data), 65_536):
        theirs.sendall(data[start : start + 65_536])
        heard.link.read()
    theirs.sendall(b': "last"}\n')
    heard.link.read()
    assert [message["is"] for message in heard.messages] == ["long", "next", "last"]
    assert heard.messages[0]["text"] == text
    assert not heard.faults


def test_a_message_without_end_is_a_fault_and_ends_the_connection(
    ends: tuple[Heard, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobctl.engine.local.link._MAX_MESSAGE_BYTES", 100_000)
    heard, theirs = ends
    for _ in range(2):
        theirs.sendall(b"x" * 60_000)
        heard.link.read()
    assert len(heard.faults) == 1
    assert not heard.link.is_open
