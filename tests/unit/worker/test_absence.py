"""How long a worker stays without a daemon, and where it leaves its outcome."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from jobctl.worker.absence import Absence
from jobctl.worker.instance import create, note_end, noted_end
from jobctl.worker.record import record_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobctl.worker.instance import Instance


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """The folder of a template."""
    folder = tmp_path / "state" / "run" / "template"
    (folder / "outcomes").mkdir(parents=True)
    return folder


@pytest.fixture
def instance(template: Path) -> Iterator[Instance]:
    made = create(str(template / "worker"))
    yield made
    made.close()


def test_patience_is_finite_without_a_daemon_and_endless_with_one(instance: Instance) -> None:
    patient, impatient = Absence(instance, 3600), Absence(instance, 0)
    assert not patient.is_over_long
    assert 3_590_000 < (patient.timeout_ms() or 0) <= 3_600_001
    assert impatient.is_over_long
    for absence in (patient, impatient):
        absence.end()
        assert not absence.is_over_long
        assert absence.timeout_ms() is None
    impatient.begin()
    assert impatient.is_over_long


def test_nobody_waits_in_a_folder_that_was_deleted(instance: Instance, template: Path) -> None:
    absence = Absence(instance, 3600)
    absence.end()
    shutil.rmtree(template)
    absence.begin()
    assert absence.is_over_long


def test_an_outcome_goes_where_the_folder_is_now(
    instance: Instance, template: Path, tmp_path: Path
) -> None:
    absence = Absence(instance, 3600)
    outcomes = str(template / "outcomes")
    assert absence.leave_record(outcomes, 1, "{}")
    assert (template / "outcomes" / record_name(1)).exists()
    (tmp_path / "state").rename(tmp_path / "moved")

    assert absence.leave_record(outcomes, 2, '{"a":1}')

    (found,) = (tmp_path / "moved").glob(f"run/template/outcomes/{record_name(2)}")
    assert json.loads(found.read_text()) == {"a": 1}
    assert not (tmp_path / "state").exists()


def test_an_outcome_is_kept_as_long_as_somebody_may_ask_for_it(
    instance: Instance, template: Path
) -> None:
    absence = Absence(instance, 3600)
    outcomes = template / "outcomes"
    outcomes.rmdir()
    outcomes.write_text("in its place")
    assert not absence.leave_record(str(outcomes), 1, "{}")
    shutil.rmtree(template)
    assert absence.leave_record(str(outcomes), 1, "{}")


def test_how_a_child_ended_can_be_read_by_whoever_comes(instance: Instance, template: Path) -> None:
    folder = str(template / "worker")
    assert noted_end(folder) is None
    for code in (0, 7, -9, -64):
        note_end(folder, code)
        assert noted_end(folder) == code
    assert noted_end(str(template / "nobody")) is None
    with pytest.raises(FileNotFoundError):
        note_end(str(template / "nobody"), 0)
