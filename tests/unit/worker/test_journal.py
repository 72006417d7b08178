"""The copy of output to the journal, against a socket that takes datagrams as journald does."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.worker.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    # A socket's address holds 107 bytes.
    monkeypatch.chdir(tmp_path)
    return "journal"


@pytest.fixture
def taking(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(path)
        bound.setblocking(False)
        yield bound


def taken(bound: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(bound.recv(1 << 20))
        except BlockingIOError:
            return found


def test_each_line_is_a_datagram_with_its_fields(path: str, taking: socket.socket) -> None:
    journal = Journal({"JOBCTL_TASK": "a\nMESSAGE=b", "PRIORITY": "6"}, path)
    journal.write(b"one\ntw")
    journal.write(b"o\n\n\xff\0three")
    journal.close()
    head = b"JOBCTL_TASK=a MESSAGE=b\nPRIORITY=6\nMESSAGE="
    assert taken(taking) == [head + b"one\n", head + b"two\n", head + b"\xff\0three\n"]
    assert journal.trouble == ""


def test_a_line_without_end_goes_in_pieces_and_is_not_held(
    path: str, taking: socket.socket
) -> None:
    journal = Journal({}, path)
    found = []
    for _ in range(100):
        journal.write(b"x" * 1000)
        found += taken(taking)
    journal.close()
    found += taken(taking)
    pieces = [piece.removeprefix(b"MESSAGE=").removesuffix(b"\n") for piece in found]
    assert b"".join(pieces) == b"x" * 100_000
    assert max(map(len, pieces)) <= 48 * 1024


def test_what_nobody_takes_is_counted(path: str) -> None:
    journal = Journal({}, path)
    journal.write(b"one\ntwo\nthr")
    journal.close()
    assert journal.trouble == "3 lines did not reach the journal: No such file or directory"


def test_a_journal_that_does_not_read_holds_nobody_up_for_long(
    path: str, taking: socket.socket
) -> None:
    journal = Journal({}, path)
    lines = 20_000
    journal.write(b"x\n" * lines)
    arrived = len(taken(taking))
    assert 0 < arrived < lines
    assert journal.trouble.startswith(f"{lines - arrived} lines")
    journal.write(b"again\n")
    assert taken(taking) == [b"MESSAGE=again\n"]
    journal.close()


def test_a_restarted_journal_is_found_again(path: str, taking: socket.socket) -> None:
    journal = Journal({}, path)
    journal.write(b"one\n")
    taking.close()
    Path(path).unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(path)
        bound.setblocking(False)
        journal.write(b"lost\n")
        journal.write(b"three\n")
        assert taken(bound) == [b"MESSAGE=three\n"]
    journal.close()
    assert journal.trouble.startswith("1 lines")
