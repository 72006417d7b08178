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


def test_when_no_file_can_be_made_the_first_and_the_last_part_stay_in_memory(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    output = Output(str(tmp_path / "file" / "1.1"), CAP)
    whole = text(3 * ROW_BYTES)
    write(output, whole, 10_000)
    assert not output.is_in_file
    assert output.in_file == 0
    assert output.finish() == whole[: ROW_BYTES // 2] + whole[-ROW_BYTES // 2 :]
    assert output.total == len(whole)
    assert output.lost == 2 * ROW_BYTES
    assert output.trouble.startswith(f"{2 * ROW_BYTES} bytes")


def test_a_state_directory_that_was_moved_away_is_not_made_again(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "state" / "output" / "0" / "1.1"), CAP)
    output.write(b"x" * 20_000)
    assert not (tmp_path / "state").exists()
    assert output.finish() == b"x" * ROW_BYTES


class Disk:
    """A disk that takes so many bytes and no more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 1 << 40
        self._pwrite = os.pwrite
        monkeypatch.setattr(os, "pwrite", self._take)

    def _take(self, fd: int, data: bytes, offset: int) -> int:
        size = min(len(data), self.room)
        if not size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= size
        return self._pwrite(fd, bytes(data)[:size], offset)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_when_the_file_cannot_be_written_it_is_removed_again(tmp_path: Path, disk: Disk) -> None:
    output = Output(str(tmp_path / "1.1"), CAP)
    output.write(b"x" * 100)
    disk.room = 50
    output.spill()
    assert list(tmp_path.iterdir()) == []
    assert output.finish() == b"x" * 100
    assert output.trouble == ""


def test_a_reader_on_a_full_disk_costs_nothing_that_fits_into_a_row(
    tmp_path: Path, disk: Disk
) -> None:
    output = Output(str(tmp_path / "1.1"), CAP)
    output.write(b"before ")
    disk.room = 0
    output.spill()
    output.write(b"after")
    assert output.in_file == 0
    assert output.finish() == b"before after"
    assert output.trouble == ""


def test_when_there_is_room_again_everything_later_is_kept(tmp_path: Path, disk: Disk) -> None:
    output = Output(str(tmp_path / "1.1"), CAP)
    whole = text(60 * 4096 + 1000)
    write(output, whole[: 20 * 4096])
    disk.room = 4 * 4096
    write(output, whole[20 * 4096 : 40 * 4096 + 10], 1000)
    assert output.in_file == 24 * 4096
    disk.room = 1 << 40
    write(output, whole[40 * 4096 + 10 :], 1000)
    assert output.in_file == output.total == len(whole)
    assert output.finish() == b""

    kept = (tmp_path / "1.1").read_bytes()
    assert len(kept) == len(whole)
    begin, end = 24 * 4096, 39 * 4096
    assert kept[:begin] == whole[:begin]
    assert kept[begin:end] == bytes(end - begin)
    assert kept[end:] == whole[end:]
    assert output.trouble == f"{end - begin} bytes of output could not be kept: {os.strerror(28)}"


def test_a_short_want_of_room_costs_nothing(tmp_path: Path, disk: Disk) -> None:
    output = Output(str(tmp_path / "1.1"), CAP)
    whole = text(100_000)
    write(output, whole[:50_000], 1000)
    disk.room = 0
    write(output, whole[50_000:58_000], 1000)
    disk.room = 1 << 40
    write(output, whole[58_000:], 1000)
    output.finish()
    assert (tmp_path / "1.1").read_bytes() == whole
    assert (output.lost, output.trouble) == (0, "")


def test_what_has_waited_in_memory_goes_to_the_file_when_one_can_be_made(
    tmp_path: Path, disk: Disk
) -> None:
    output = Output(str(tmp_path / "1.1"), CAP)
    whole = text(100_001)
    disk.room = 0
    write(output, whole[:80_000], 1000)
    assert not output.is_in_file
    disk.room = 1 << 40
    write(output, whole[80_000:], 1000)
    assert output.finish() == b""
    kept = (tmp_path / "1.1").read_bytes()
    end = -(-(81_000 - ROW_BYTES // 2 - 1000) // 4096) * 4096
    assert kept[: ROW_BYTES // 2] == whole[: ROW_BYTES // 2]
    assert kept[end:] == whole[end:]
    assert output.lost == end - ROW_BYTES // 2


def test_what_the_disk_refuses_at_the_very_end_is_counted(tmp_path: Path, disk: Disk) -> None:
    output = Output(str(tmp_path / "1.1"), CAP)
    whole = text(50_000)
    write(output, whole[:49_000], 1000)
    disk.room = 0
    output.write(whole[49_000:])
    assert output.finish() == b""
    assert output.lost == 1000
    assert (tmp_path / "1.1").read_bytes() == whole[:49_000]


def test_an_old_file_of_that_name_is_not_added_to(tmp_path: Path) -> None:
    (tmp_path / "1.1").write_bytes(b"old" * 100_000)
    output = Output(str(tmp_path / "1.1"), CAP)
    output.write(b"n" * (ROW_BYTES + 1))
    output.finish()
    assert (tmp_path / "1.1").read_bytes() == b"n" * (ROW_BYTES + 1)
