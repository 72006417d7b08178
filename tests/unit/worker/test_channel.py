"""The worker's end of the channel: whole messages, whatever the pieces; nothing lost, nothing blocked."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from jobctl.worker.channel import Channel, common_protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    channel = Channel(ours.detach())
    try:
        yield channel, theirs
    finally:
        theirs.close()
        channel.close()


def test_messages_come_whole_whatever_the_pieces(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    line = json.dumps({"do": "ack", "tokens": [1, 2], "text": "é\n"}).encode() + b"\n"
    for byte in line[:-1]:
        theirs.send(bytes([byte]))
        assert channel.receive() == []
    theirs.send(line[-1:] + line + line[:3])
    assert channel.receive() == [json.loads(line)] * 2
    theirs.send(line[3:])
    assert channel.receive() == [json.loads(line)]


def test_what_was_said_before_the_end_is_heard_before_it(
    pair: tuple[Channel, socket.socket],
) -> None:
    channel, theirs = pair
    theirs.send(b'{"do":"retire"}\n{"half')
    theirs.close()
    assert channel.receive() == [{"do": "retire"}]
    assert channel.receive() is None


def test_a_long_message_waits_for_a_daemon_that_is_busy(
    pair: tuple[Channel, socket.socket],
) -> None:
    channel, theirs = pair
    text = "x" * 5_000_000
    sender = threading.Thread(target=channel.send, args=({"is": "outcomes", "text": text},))
    sender.start()
    with theirs.makefile("rb") as lines:
        assert json.loads(lines.readline())["text"] == text
    sender.join()
    assert channel.receive() == []


def test_a_hint_is_given_up_rather_than_waited_for(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    sent = 0
    while channel.hint({"is": "wrote", "token": 1, "bytes": sent}):
        sent += 1
        assert sent < 1_000_000
    theirs.setblocking(True)
    with theirs.makefile("rb") as lines:
        heard = [json.loads(lines.readline())["bytes"] for _ in range(sent)]
    assert heard == list(range(sent))


def test_sending_to_a_daemon_that_is_gone_says_so(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    theirs.close()
    assert channel.send({"is": "hello"}) is False
    assert channel.hint({"is": "hello"}) is False


@pytest.mark.parametrize(
    ("offered", "common"),
    [([1], 1), ([1, 2], 1), ([2], None), ([], None), (None, None), ("1", None)],
)
def test_the_highest_number_that_both_speak_is_chosen(offered: object, common: object) -> None:
    assert common_protocol(offered) == common
