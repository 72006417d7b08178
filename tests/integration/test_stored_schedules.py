"""What a daemon makes of schedules that the store holds: they come with it, and stop nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SystemClock
from jobctl.protocol import requests
from jobctl.store import schedules as schedule_rows
from jobctl.store.database import open_database
from tests.support.daemon import Daemon, running_daemon

if TYPE_CHECKING:
    from collections.abc import Mapping

TASK = '[tasks.tick]\ncommand = ["/bin/true"]\n'


def keep(daemon: Daemon, tables: Mapping[str, str]) -> None:
    """Write tables of schedules into the store of a daemon that does not run."""
    now = SystemClock().now()
    database = open_database(daemon.state_dir / "jobctl.db")
    try:
        with database.transaction():
            for name, table in tables.items():
                if schedule_rows.get(database, name) is None:
                    identity = '{"kind":"interval","expression":"1s","timezone":"UTC"}'
                    schedule_rows.add(
                        database, name=name, identity=identity, anchor_at=now, now=now
                    )
                schedule_rows.store(database, name=name, table=table, uid=0, now=now)
    finally:
        database.close()


def listed(daemon: Daemon) -> dict[str, dict[str, Any]]:
    found = daemon.call(requests.Schedules())["schedules"]
    return {schedule["name"]: schedule for schedule in found}


def table(**keys: object) -> str:
    return json.dumps({"task": "tick", **keys})


@pytest.mark.slow
def test_stored_schedules_are_in_force_after_a_start_and_after_a_reload() -> None:
    with running_daemon(TASK) as daemon:
        daemon.stop()
        keep(daemon, {"often": table(every="1s", on_overlap="allow", expires="1h")})
        daemon.start()

        assert listed(daemon)["often"]["source"] == "jobctl schedule add"
        daemon.until("a job", lambda: daemon.call(requests.List())["jobs"])
        daemon.config.write_text(TASK + 'every = "1h"\n')
        daemon.call(requests.Reload())

        assert set(listed(daemon)) == {"often", "tick"}
        # A start that takes longer than a second misses instants, which make no job.
        fires = daemon.call(requests.History(schedule="often", limit=1000))["fires"]
        fire = next(fire for fire in fires if fire["fate"] == "submitted")
        job = daemon.ended(fire["job_id"])
        assert job["expires_at"] == fire["at"] + 3600 * 1_000_000


@pytest.mark.slow
def test_a_stored_schedule_that_does_not_fit_stops_no_other() -> None:
    with running_daemon(TASK) as daemon:
        daemon.stop()
        tables = {
            "lost": table(cron="0 2 * * *", timezone="Europe/Atlantis"),
            "orphan": json.dumps({"task": "gone", "every": "1s"}),
            "broken": "{",
            "often": table(every="1s", on_overlap="allow"),
        }
        keep(daemon, tables)
        daemon.start()

        daemon.until("a job", lambda: daemon.call(requests.List())["jobs"])
        assert set(listed(daemon)) == {"lost", "orphan", "often"}
        assert "cannot be read" in daemon.log()
        daemon.until(
            "a held instant",
            lambda: daemon.call(requests.History(schedule="orphan", limit=9))["fires"],
        )
        daemon.stop()
        database = open_database(daemon.state_dir / "jobctl.db")
        kept = {row.name: row.table for row in schedule_rows.stored(database)}
        database.close()

    assert kept == tables


@pytest.mark.slow
def test_the_file_goes_before_a_stored_schedule_of_its_name() -> None:
    with running_daemon(TASK) as daemon:
        daemon.stop()
        keep(daemon, {"tick": table(every="1s")})
        daemon.config.write_text(TASK + 'every = "1h"\n')
        daemon.start()

        assert listed(daemon)["tick"]["expression"] == "1h"
        assert "its name is taken" in daemon.log()
        daemon.stop()
        daemon.config.write_text(TASK)
        daemon.start()
        assert listed(daemon)["tick"]["expression"] == "1s"
