"""Folders that are removed a slice a turn, whatever lies in them."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from jobctl.clock import SystemClock
from jobctl.engine.local.timers import Timers
from jobctl.engine.local.trash import SLICE, Trash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Place:
    """A folder of templates with its trash, and turns of a loop."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.begin()

    def begin(self) -> None:
        """As a daemon begins."""
        self.timers = Timers(SystemClock())
        self.trash = Trash(self.run_dir, self.timers)
        self.trash.resume()

    def turn(self) -> bool:
        """One turn; False: there was nothing to do."""
        deadline = self.timers.deadline
        if deadline is None:
            return False
        self.timers.step(deadline)
        return True

    def count(self) -> int:
        return sum(len(files) for _, _, files in os.walk(self.run_dir))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    made = Place(run_dir)
    yield made
    made.trash.close()


def fill(folder: Path, files: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(files):
        (folder / str(number)).touch()
    return folder


def test_a_small_folder_is_gone_at_once(place: Place) -> None:
    folder = fill(place.run_dir / "template/worker", 5)
    fill(folder / "inner/most", 3)
    place.trash.put(folder)
    assert list(place.run_dir.iterdir()) == [folder.parent]
    assert list(folder.parent.iterdir()) == []
    assert place.trash.is_empty
    assert not place.turn()


def test_a_large_folder_goes_in_slices(place: Place) -> None:
    folder = fill(place.run_dir / "large", 5 * SLICE)
    fill(folder / "inner", 2 * SLICE)
    place.trash.put(folder)
    assert not folder.exists()
    left = [place.count()]
    assert not place.trash.is_empty
    while place.turn():
        left.append(place.count())
    assert left[0] >= 6 * SLICE
    assert all(before - after <= SLICE for before, after in pairwise(left))
    assert list(place.run_dir.iterdir()) == []


def test_the_next_daemon_goes_on(place: Place) -> None:
    place.trash.put(fill(place.run_dir / "large", 3 * SLICE))
    fill(place.run_dir / "template", 1)
    place.turn()
    place.trash.close()

    place.begin()

    while place.turn():
        pass
    assert [path.name for path in place.run_dir.iterdir()] == ["template"]
    assert place.count() == 1


def test_what_links_lead_to_stays(place: Place, tmp_path: Path) -> None:
    precious = fill(tmp_path / "precious", 3)
    folder = fill(place.run_dir / "folder", 1)
    (folder / "link").symlink_to(precious)
    place.trash.put(folder)
    link = place.run_dir / "link"
    link.symlink_to(precious)
    place.trash.put(link)
    assert list(place.run_dir.iterdir()) == []
    assert len(list(precious.iterdir())) == 3


def test_no_depth_is_too_deep(place: Place) -> None:
    (place.run_dir / "deep").mkdir()
    inner = os.open(place.run_dir / "deep", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("x", dir_fd=inner)
        outer, inner = inner, os.open("x", os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(inner)
    place.trash.put(place.run_dir / "deep")
    while place.turn():
        pass
    assert list(place.run_dir.iterdir()) == []


def test_what_is_added_meanwhile_goes_too(place: Place) -> None:
    place.trash.put(fill(place.run_dir / "large", 2 * SLICE))
    (moved,) = place.run_dir.iterdir()
    fill(moved / "late", 2)
    while place.turn():
        pass
    assert list(place.run_dir.iterdir()) == []


def test_a_folder_that_is_gone_is_no_fault(place: Place) -> None:
    place.trash.put(place.run_dir / "nothing")
    assert not place.turn()
