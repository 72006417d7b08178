"""The rule of a schedule as text, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from jobctl.beat.rules import (
    base_of,
    follows_wall_clock,
    identity_of,
    max_runs_of,
    rule_of,
    was_enabled,
    zone_data_of,
)
from jobctl.clock import SECOND
from jobctl.schedule import ScheduleError, reread_zones
from tests.support.builders import a_schedule
from tests.support.clock import START
from tests.support.zone_files import zone_file, zones_from

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600 * SECOND


def test_the_identity_of_a_plain_schedule_is_short() -> None:
    told = identity_of(a_schedule(every="5m"), "host")

    assert json.loads(told) == {"kind": "interval", "expression": "5m", "timezone": "UTC"}
    assert was_enabled(told)
    assert max_runs_of(told) is None


def test_the_identity_of_a_schedule_says_all_that_decides_about_its_instants() -> None:
    spec = a_schedule(
        cron="H 2 * * thu",
        timezone="Europe/Berlin",
        dialect="celery",
        start="2027-02-01",
        end="2027-03-01 12:00",
        max_runs=5,
        enabled=False,
        on_overlap="allow",
        jitter="5m",
    )

    told = identity_of(spec, "host")

    assert json.loads(told) == {
        "kind": "crontab",
        "expression": "H 2 * * thu",
        "timezone": "Europe/Berlin",
        "dialect": "celery",
        "seed": "backup@host",
        "start": "2027-02-01",
        "end": "2027-03-01 12:00",
        "max_runs": 5,
        "enabled": False,
    }
    assert not was_enabled(told)
    assert max_runs_of(told) == 5
    assert base_of(told).keys().isdisjoint({"enabled", "max_runs"})


def test_what_is_drawn_differs_between_schedules_and_hosts_and_stays() -> None:
    def minute(name: str, host: str) -> int:
        rule = rule_of(identity_of(a_schedule(name, cron="H * * * *"), host), START)
        instant = rule.next_after(START)
        assert instant is not None
        return instant % HOUR

    drawn = {minute(f"s{n}", "host") for n in range(200)}

    assert len(drawn) > 40
    assert minute("s1", "host") == minute("s1", "host")
    assert len({minute("s1", f"host{n}") for n in range(50)}) > 10


@pytest.mark.parametrize("expression", ["0 2 * * thu", "0 0 * march *", "@hourly"])
def test_a_name_with_an_h_draws_nothing(expression: str) -> None:
    assert "seed" not in json.loads(identity_of(a_schedule(cron=expression), "host"))


def test_an_interval_is_counted_from_its_anchor_or_from_its_start() -> None:
    anchored = rule_of(identity_of(a_schedule(every="1h"), ""), START + 7)
    started = rule_of(identity_of(a_schedule(every="1h", start="2027-01-15 09:30"), ""), START + 7)

    assert anchored.next_after(START + 7) == START + HOUR + 7
    assert started.next_after(START) == START + HOUR + HOUR // 2


def test_a_rule_of_a_zone_that_is_gone_is_an_error() -> None:
    told = identity_of(a_schedule(cron="0 2 * * *"), "").replace("UTC", "Europe/Atlantis")

    with pytest.raises(ScheduleError, match="Atlantis"):
        rule_of(told, START)


def test_zone_data_matters_where_local_times_do() -> None:
    assert zone_data_of(a_schedule(every="1h")) is None
    assert zone_data_of(a_schedule(every="1h", start="2027-01-01")) is not None
    utc = zone_data_of(a_schedule(cron="0 2 * * *"))
    berlin = zone_data_of(a_schedule(cron="0 2 * * *", timezone="Europe/Berlin"))
    assert utc != berlin
    assert berlin == zone_data_of(a_schedule(at="2030-01-01", timezone="Europe/Berlin"))


def test_only_intervals_without_a_start_ignore_the_wall_clock() -> None:
    assert not follows_wall_clock(a_schedule(every="1h", end="2030-01-01"))
    assert follows_wall_clock(a_schedule(every="1h", start="2027-01-01"))
    assert follows_wall_clock(a_schedule(cron="0 2 * * *"))
    assert follows_wall_clock(a_schedule(at="2030-01-01"))


def test_equal_rules_are_one_object_whoever_goes_by_them() -> None:
    told = identity_of(a_schedule(cron="*/5 * * * *"), "host")
    assert rule_of(told, START) is rule_of(told, START + HOUR)


def test_intervals_of_other_anchors_are_other_rules() -> None:
    told = identity_of(a_schedule(every="1h"), "host")
    assert rule_of(told, START).next_after(START) == START + HOUR
    assert rule_of(told, START + 1).next_after(START) == START + 1


def test_only_the_schedules_that_draw_have_a_seed_of_their_own() -> None:
    plain, drawn = "0 2 * * *", "H 2 * * *"
    assert identity_of(a_schedule("a", cron=plain), "h") == identity_of(
        a_schedule("b", cron=plain), "h"
    )
    assert identity_of(a_schedule("a", cron=drawn), "h") != identity_of(
        a_schedule("b", cron=drawn), "h"
    )


def test_a_local_moment_follows_new_zone_data(tmp_path: Path) -> None:
    with zones_from(tmp_path):
        (tmp_path / "Moved").write_bytes(zone_file(3600))
        told = identity_of(a_schedule(at="2030-01-01 12:00", timezone="Moved"), "host")
        before = rule_of(told, START).next_after(START)
        assert before is not None

        (tmp_path / "Moved").write_bytes(zone_file(7200))
        reread_zones()

        assert rule_of(told, START).next_after(START) == before - HOUR
