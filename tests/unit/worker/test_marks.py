"""Begin and end marks: what can be read of them at every moment of being written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from jobctl.worker import marks as module
from jobctl.worker.marks import (
    FILE_NAME,
    RECORDED,
    RESULT_BYTES,
    RETURNED,
    RUNNING,
    SLOT_BYTES,
    SLOTS,
    TIMED_OUT,
    Marks,
    end_at_limit,
    is_working,
    read_marks,
    read_step,
    unreturned,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_marks_that_are_not_there_say_nothing(tmp_path: Path) -> None:
    """Nothing would mean that nothing had begun."""
    with pytest.raises(FileNotFoundError):
        read_marks(str(tmp_path))
    assert not is_working(str(tmp_path), [11])


def test_each_step_of_an_attempt_can_be_read_at_once(tmp_path: Path) -> None:
    marks = Marks(str(tmp_path))
    assert read_marks(str(tmp_path)) == {}
    first = marks.begin(11, 1, 100)
    second = marks.begin(12, 2, 200)
    assert {t: m.how for t, m in read_marks(str(tmp_path)).items()} == {11: RUNNING, 12: RUNNING}
    marks.end(first, 150, b'"done"')
    marks.end_recorded(second, 250)
    found = read_marks(str(tmp_path))
    assert found[11] == (11, 1, 100, 0, 150, RETURNED, '"done"', False)
    assert (found[12].how, found[12].ended_at, found[12].result) == (RECORDED, 250, "")


def test_the_longest_result_that_has_room_is_kept_whole(tmp_path: Path) -> None:
    marks = Marks(str(tmp_path))
    marks.end(marks.begin(1, 1, 1), 2, b"9" * RESULT_BYTES)
    marks.begin(2, 2, 2)
    found = read_marks(str(tmp_path))
    assert found[1].result == "9" * RESULT_BYTES
    assert found[2].how == RUNNING


def test_slots_are_used_again_in_turn(tmp_path: Path) -> None:
    marks = Marks(str(tmp_path))
    for token in range(1, SLOTS + 6):
        marks.end(marks.begin(token, token, token), token, b"1")
    found = read_marks(str(tmp_path))
    assert set(found) == set(range(6, SLOTS + 6))


def test_a_slot_that_is_used_again_says_nothing_of_its_last_attempt(tmp_path: Path) -> None:
    marks = Marks(str(tmp_path))
    for token in range(1, SLOTS + 1):
        marks.end(marks.begin(token, token, token), token, b"123")
    marks.begin(9999, 1, 1)
    mark = read_marks(str(tmp_path))[9999]
    assert (mark.how, mark.ended_at, mark.result) == (RUNNING, 0, "")


def test_an_attempt_is_ended_at_its_limit_by_another_process(tmp_path: Path) -> None:
    marks = Marks(str(tmp_path))
    marks.begin(11, 1, 100)
    marks.begin(12, 2, 200, 5_000, is_soft=True)
    assert end_at_limit(str(tmp_path), 12, 300)
    found = read_marks(str(tmp_path))
    assert found[11].how == RUNNING
    assert found[12] == (12, 2, 200, 5_000, 300, TIMED_OUT, "", True)
    assert not end_at_limit(str(tmp_path), 13, 300)
    (tmp_path / FILE_NAME).unlink()
    assert not end_at_limit(str(tmp_path), 12, 300)


def test_a_begin_that_was_cut_off_before_its_token_is_no_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is written last."""
    marks = Marks(str(tmp_path))
    marks.begin(5, 5, 5)

    class Killed:
        def pack_into(self, *_: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "_token", Killed())
    with pytest.raises(KeyboardInterrupt):
        marks.begin(6, 6, 6)
    assert set(read_marks(str(tmp_path))) == {5}


def test_slots_of_a_worker_of_many_jobs_are_its_own_choice(tmp_path: Path) -> None:
    marks = Marks(str(tmp_path), slots=2001)
    last = 2000 * SLOT_BYTES
    marks.begin_in(last, 11, 1, 100, 5_000)
    marks.begin_in(SLOT_BYTES, 12, 2, 100, 0)
    assert end_at_limit(str(tmp_path), 11, 300)
    found = read_marks(str(tmp_path))
    assert {token: mark.how for token, mark in found.items()} == {11: TIMED_OUT, 12: RUNNING}
    assert unreturned(str(tmp_path)) is None
    marks.begin_in(last, 13, 3, 100, 0)
    marks.end(SLOT_BYTES, 200, b"1")
    assert unreturned(str(tmp_path)) == 13


def test_whose_code_runs_can_be_seen_and_is_no_attempt(tmp_path: Path) -> None:
    marks = Marks(str(tmp_path), slots=3)
    assert read_step(str(tmp_path)) is None
    marks.step(17, 1_000)
    assert read_step(str(tmp_path)) == (17, 1_000)
    assert read_marks(str(tmp_path)) == {}
    marks.step(0, 0)
    assert read_step(str(tmp_path)) is None
    (tmp_path / FILE_NAME).unlink()
    assert read_step(str(tmp_path)) is None
    (tmp_path / FILE_NAME).write_bytes(b"short")
    assert read_step(str(tmp_path)) is None


@pytest.mark.parametrize("size", [0, 1, SLOT_BYTES - 1, SLOT_BYTES, SLOT_BYTES * SLOTS])
def test_rubbish_of_any_length_is_survived(tmp_path: Path, size: int) -> None:
    (tmp_path / FILE_NAME).write_bytes(os.urandom(size))
    for mark in read_marks(str(tmp_path)).values():
        assert len(mark.result) <= RESULT_BYTES


def test_a_pipe_in_the_place_of_the_marks_is_an_error_and_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE_NAME)
    with pytest.raises(OSError, match="seek"):
        read_marks(str(tmp_path))
