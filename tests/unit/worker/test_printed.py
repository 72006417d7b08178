"""Output on its way from a worker to its template: both sides, in one process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from jobctl.worker.output import ROW_BYTES
from jobctl.worker.printed import Ends, Pipes, Printed, Reader, leave_last_words, read_last_words
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize("piece", [1, 7, 4096, ROW_BYTES, 10 * ROW_BYTES])
@pytest.mark.parametrize("size", [0, 1, ROW_BYTES, ROW_BYTES + 1, 20 * ROW_BYTES])
def test_the_first_and_the_last_part_are_kept_however_it_comes(size: int, piece: int) -> None:
    text = os.urandom(size)
    ends = Ends()
    for begin in range(0, size, piece):
        ends.write(text[begin : begin + piece])
    half = ROW_BYTES // 2
    wanted = text if size <= ROW_BYTES else text[:half] + text[-half:]
    assert ends.take() == (wanted, size)
    assert ends.take() == (b"", 0)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    made = Pipes()
    yield made
    made.close()


def ask(printed: Printed, reader: Reader) -> tuple[bytes, int]:
    """Take what was written, while a thread plays the template."""
    found: list[tuple[bytes, int]] = []
    asking = threading.Thread(target=lambda: found.append(printed.take()))
    asking.start()
    while asking.is_alive():
        reader.read()
        asking.join(0.001 * PATIENCE)
    return found[0]


def test_the_rest_of_a_line_never_enters_the_pipe(pipes: Pipes) -> None:
    printed = Printed(pipes)
    print("no end", end="", file=printed.stream)
    assert printed.take() == (b"no end", 6)
    assert printed.take() == (b"", 0)


def test_printing_nothing_keeps_nothing(pipes: Pipes) -> None:
    printed = Printed(pipes)
    for _ in range(1000):
        print(end="", file=printed.stream)
    assert printed.take() == (b"", 0)


def test_what_has_passed_is_asked_for_and_comes_before_what_was_held_back(pipes: Pipes) -> None:
    os.set_blocking(pipes.output_read, False)
    printed, reader = Printed(pipes), Reader(pipes, 1)
    os.write(pipes.output_write, b"from a child\n")
    print("printed", end="", file=printed.stream)
    assert ask(printed, reader) == (b"from a child\nprinted", 20)
    assert printed.take() == (b"", 0)


def test_what_the_template_has_read_already_is_not_forgotten(pipes: Pipes) -> None:
    os.set_blocking(pipes.output_read, False)
    printed, reader = Printed(pipes), Reader(pipes, 1)
    os.write(pipes.output_write, b"x")
    reader.read()
    assert ask(printed, reader) == (b"x", 1)


def test_an_end_mark_that_comes_in_parts_is_one(pipes: Pipes) -> None:
    os.set_blocking(pipes.output_read, False)
    reader = Reader(pipes, 1)
    for number in b"before" + pipes.end + b"after":
        os.write(pipes.output_write, bytes([number]))
        reader.read()
    assert os.read(pipes.answers_read, 100)[-6:] == b"before"
    assert reader.last_words() == (b"after", 5)


def test_a_dead_template_costs_the_output_and_nothing_else() -> None:
    pipes = Pipes()
    printed = Printed(pipes)
    os.write(pipes.output_write, b"x")
    pipes.close_template_end()
    assert printed.take() == (b"", 0)
    printed.close()


def test_descriptors_of_others_are_not_written_to(pipes: Pipes) -> None:
    """User code has closed the worker's descriptor, and a file of its own has its number now."""
    printed = Printed(pipes)
    os.write(pipes.output_write, b"x")
    kept = os.dup(pipes.output_write)
    file = os.memfd_create("other")
    os.write(file, b"mine")
    os.lseek(file, 0, os.SEEK_SET)
    os.dup2(file, pipes.output_write)
    assert printed.take() == (b"", 0)
    assert os.pread(file, 100, 0) == b"mine"
    os.close(file)
    os.close(kept)


def test_last_words_are_found_as_they_were_left(tmp_path: Path) -> None:
    assert read_last_words(str(tmp_path)) is None
    leave_last_words(str(tmp_path), 7, (b"1 2\nthree", 70_000))
    assert read_last_words(str(tmp_path)) == (7, b"1 2\nthree", 70_000)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", None),
        (b"7\nx", None),
        (b"7 -1\nx", None),
        (b"7 x\nx", None),
        (b"7 " + b"9" * 30 + b"\nx", None),
        (b"7 0\nlonger", (7, b"longer", 6)),
        (b"7 0\n" + b"x" * 100_000, (7, b"x" * ROW_BYTES, ROW_BYTES)),
    ],
)
def test_a_spoiled_file_of_last_words_harms_nobody(
    tmp_path: Path, data: bytes, found: tuple[int, bytes, int] | None
) -> None:
    (tmp_path / "last_words").write_bytes(data)
    assert read_last_words(str(tmp_path)) == found


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_last_words_that_are_no_file_are_nothing(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "last_words"
    match kind:
        case "link":
            place.symlink_to(__file__)
        case "pipe":
            os.mkfifo(place)
        case _:
            place.mkdir()
    assert read_last_words(str(tmp_path)) is None
