"""Records appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from jobctl.worker.record import drop_record, record_name, write_record


def test_a_record_is_named_by_its_token_and_may_be_written_again(tmp_path: Path) -> None:
    for text in ("one", "two"):
        write_record(str(tmp_path), 0xABC, text)
    assert [path.name for path in tmp_path.iterdir()] == ["0000000000000abc.json"]
    assert (tmp_path / record_name(0xABC)).read_text() == "two"
    drop_record(str(tmp_path), 0xABC)
    drop_record(str(tmp_path), 0xABC)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_disk_that_refuses_leaves_nothing_under_the_record_s_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_record(str(tmp_path), 1, "before")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(OSError, match="space"):
            write_record(str(tmp_path), 1, "after")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_a_durable_record_is_flushed_with_its_folder_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(fd: int) -> None:
        order.append("folder" if Path(f"/proc/self/fd/{fd}").is_dir() else "file")
        real_fsync(fd)

    def rename(old: str, new: str) -> None:
        order.append("rename")
        real_rename(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    write_record(str(tmp_path), 1, "x")
    assert order == ["file", "rename", "folder"]
