"""What a daemon reads of the outcomes that lie on disk when it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.engine.local import records
from jobctl.engine.local.records import find_records
from jobctl.worker.record import record_name, write_record

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def leave(folder: Path, token: int, *, padding: int = 0) -> None:
    text = f'{{"token":{token},"job_id":1,"verdict":"success","finished_at":5}}'
    write_record(str(folder), token, text + " " * padding)


def tokens(found: records.Records) -> list[int]:
    return [outcome.token for outcome in found.outcomes]


def test_records_are_read_and_other_files_are_left_alone(tmp_path: Path) -> None:
    leave(tmp_path, 5)
    leave(tmp_path, 2**63 - 1)
    for name in ("5.json", "g000000000000000.json", "0000000000000006.json.12.new", "x.json"):
        (tmp_path / name).write_text("{")

    found = find_records(tmp_path, ())

    assert tokens(found) == [5, 2**63 - 1]
    assert found.told() == {}


def test_what_cannot_be_read_is_counted_and_the_first_are_named(tmp_path: Path) -> None:
    leave(tmp_path, 9)
    for token in range(1, 6):
        (tmp_path / record_name(token)).write_text("no")

    found = find_records(tmp_path, ())

    assert tokens(found) == [9]
    names = ", ".join(record_name(token) for token in (1, 2, 3))
    told = found.told()
    assert (told["unreadable"], told["not_read"]) == (5, 0)
    assert told["names"] == f"{names} and 2 more"
    assert "not JSON" in str(told["reason"])


def test_what_is_waited_for_is_read_however_much_else_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_MOST_OTHERS", 3)
    for token in range(1, 11):
        leave(tmp_path, token)

    found = find_records(tmp_path, {9, 10, 77})

    assert tokens(found) == [9, 10, 1, 2, 3]
    assert found.told()["not_read"] == 5


def test_others_are_read_up_to_a_number_of_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_MOST_OTHERS_BYTES", 5000)
    leave(tmp_path, 1, padding=4000)
    leave(tmp_path, 2, padding=4000)
    leave(tmp_path, 3, padding=40_000)

    found = find_records(tmp_path, {3})

    assert tokens(found) == [3, 1]
    assert found.passed_over == 1


def test_a_link_to_a_folder_and_a_folder_that_is_not_there_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    leave(tmp_path / "real", 5)
    (tmp_path / "link").symlink_to("real")

    assert tokens(find_records(tmp_path / "link", ())) == []
    assert tokens(find_records(tmp_path / "missing", ())) == []
