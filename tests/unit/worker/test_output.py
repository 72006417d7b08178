"""What is kept of a command's output: small in memory, large in a file with its middle given back."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from jobctl.worker import output as module
from jobctl.worker.output import ROW_BYTES, Output

if TYPE_CHECKING:
    from pathlib import Path

CAP = 1 << 20


def text(size: int) -> bytes:
    return b"".join(b"%07d\n" % n for n in range(size // 8 + 1))[:size]


def write(output: Output, data: bytes, part: int = 65_536) -> None:
    for start in range(0, len(data), part):
        output.write(data[start : start + part])


def refuse_holes(_fd: int, _start: int, _length: int) -> None:
    raise OSError(errno.EOPNOTSUPP, "no holes here")


@pytest.mark.parametrize("size", [0, 1, ROW_BYTES])
def test_little_output_is_kept_in_memory_and_makes_no_file(tmp_path: Path, size: int) -> None:
    output = Output(str(tmp_path / "deep" / "1.1"), CAP)
    write(output, text(size), 1000)
    assert not output.is_in_file
    assert output.finish() == text(size)
    assert output.total == size
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [ROW_BYTES + 1, CAP, CAP + 1, 5 * CAP])
@pytest.mark.parametrize("has_holes", [True, False])
def test_much_output_keeps_its_first_and_last_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, has_holes: bool
) -> None:
    if not has_holes:
        monkeypatch.setattr(module, "punch_hole", refuse_holes)
    path = tmp_path / "deep" / "1.1"
    output = Output(str(path), CAP)
    whole = text(size)
    write(output, whole)
    assert output.finish() == b""
    kept = path.read_bytes()
    assert len(kept) == size == output.total
    half = CAP // 2
    assert kept[:half] == whole[:half]
    assert kept[-half:] == whole[-half:]
    assert path.stat().st_blocks * 512 <= CAP + (1 << 20) + 65_536
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_cap_is_never_smaller_than_what_a_row_holds(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "1.1"), 0)
    write(output, text(ROW_BYTES))
    assert output.finish() == text(ROW_BYTES)


def test_a_reader_makes_the_file_earlier_and_loses_nothing(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "1.1"), CAP)
    output.write(b"before ")
    output.spill()
    output.spill()
    assert (tmp_path / "1.1").read_bytes() == b"before "
    output.write(b"after")
    assert output.total == 12
    assert output.finish() == b""
    assert (tmp_path / "1.1").read_bytes() == b"before after"


def test_when_no_file_can_be_made_the_beginning_stays_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    output = Output(str(tmp_path / "file" / "1.1"), CAP)
    output.write(b"x" * 10_000)
    with pytest.raises(OSError, match="file"):
        output.write(b"y" * 10_000)
    assert not output.is_in_file
    assert output.total == ROW_BYTES
    assert output.finish() == b"x" * 10_000 + b"y" * (ROW_BYTES - 10_000)


def test_a_state_directory_that_was_moved_away_is_not_made_again(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "state" / "output" / "0" / "1.1"), CAP)
    with pytest.raises(FileNotFoundError):
        output.write(b"x" * 20_000)
    assert not (tmp_path / "state").exists()
    assert output.finish() == b"x" * ROW_BYTES


def test_when_the_file_cannot_be_written_it_is_removed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    output = Output(str(tmp_path / "1.1"), CAP)
    output.write(b"x" * 100)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="space"):
        output.spill()
    assert output.finish() == b"x" * 100
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_of_that_name_is_not_added_to(tmp_path: Path) -> None:
    (tmp_path / "1.1").write_bytes(b"old" * 100_000)
    output = Output(str(tmp_path / "1.1"), CAP)
    output.write(b"n" * (ROW_BYTES + 1))
    output.finish()
    assert (tmp_path / "1.1").read_bytes() == b"n" * (ROW_BYTES + 1)
