"""What commands have set in place of the file, when the store holds what no version of ours wrote."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from jobctl.daemon.stored_limits import with_stored_limits, with_stored_sizes
from jobctl.plan import FilePlan, merge
from jobctl.store.database import open_database

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("bring", "rows", "field"),
    [
        (with_stored_limits, "jobctl.store.queues.limits", "queue"),
        (with_stored_sizes, "jobctl.store.worker_groups.sizes", "group"),
    ],
)
def test_what_cannot_be_read_is_left_out_and_said(
    bring: object,
    rows: str,
    field: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert callable(bring)
    monkeypatch.setattr(rows, lambda _database: {"default": {"concurrency": -1, "processes": -1}})
    plan = merge(FilePlan(), host_timezone="UTC", strict=False)
    database = open_database(tmp_path / "jobctl.db")
    try:
        with caplog.at_level(logging.ERROR):
            found = bring(database, plan)
    finally:
        database.close()

    assert found == plan
    (said,) = caplog.records
    assert "cannot be read and is left out" in said.getMessage()
    assert field in str(vars(said))
