"""The reserve on the disk: taken, given up, taken again when there is room."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from jobctl.daemon.ballast import LEAST_BYTES, MOST_BYTES, SHARE, Ballast

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the disk says is free."""
    told = SimpleNamespace(f_bavail=1 << 30, f_frsize=1)
    monkeypatch.setattr("os.statvfs", lambda _path: told)
    return told


@pytest.mark.usefixtures("disk")
def test_it_is_taken_released_and_taken_again(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast")

    assert ballast.take()
    assert (tmp_path / "ballast").stat().st_blocks * 512 >= MOST_BYTES
    assert ballast.release()
    assert ballast.is_released
    assert not (tmp_path / "ballast").exists()
    assert not ballast.release()
    assert ballast.take()
    assert not ballast.is_released


def test_it_is_not_taken_again_before_there_is_room_for_more(
    disk: SimpleNamespace, tmp_path: Path
) -> None:
    ballast = Ballast(tmp_path / "ballast")
    ballast.take()
    ballast.release()

    disk.f_bavail = 2 * MOST_BYTES - 1
    assert not ballast.take()
    disk.f_bavail = 2 * MOST_BYTES
    assert ballast.take()


@pytest.mark.parametrize("free", [SHARE * LEAST_BYTES - 1, 0])
def test_a_disk_that_is_too_small_has_none(
    disk: SimpleNamespace, tmp_path: Path, free: int
) -> None:
    disk.f_bavail = free
    ballast = Ballast(tmp_path / "ballast")

    assert not ballast.take()
    assert not ballast.release()
    assert not ballast.is_released
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("disk")
def test_one_that_somebody_has_removed_is_none(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast")
    ballast.take()
    (tmp_path / "ballast").unlink()

    assert not ballast.release()
    assert not ballast.is_released


@pytest.mark.usefixtures("disk")
def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    (tmp_path / "ballast").symlink_to(victim)

    assert not Ballast(tmp_path / "ballast").take()
    assert victim.stat().st_size == 0
