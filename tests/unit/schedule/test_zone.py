from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from jobctl.schedule import ScheduleError, parse_schedule, reread_zones
from jobctl.schedule.zone import are_zones_stale, zone_named
from tests.support.zone_files import zone_file, zones_from

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

US = 10**6


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("europe/berlin", 'Did you mean "Europe/Berlin"?'),
        ("Berlin", 'Did you mean "Europe/Berlin"?'),
        ("new york", 'Did you mean "America/New_York"?'),
        ("Europe/Berln", "Europe/Berlin"),
        ("../../etc/passwd", "IANA"),
        ("/etc/passwd", "IANA"),
        ("", "IANA"),
        ("Europe\0", ""),
    ],
)
def test_unknown_zone_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule("crontab", "0 0 * * *", timezone=name)
    assert "unknown time zone" in refused.value.message
    assert hint in refused.value.hint


def test_same_zone_for_the_same_name() -> None:
    assert zone_named("Europe/Berlin") is zone_named("Europe/Berlin")


@pytest.fixture
def own_zone_files(tmp_path: Path) -> Iterator[Path]:
    with zones_from(tmp_path):
        yield tmp_path


def test_new_zone_data_moves_schedules_that_exist(own_zone_files: Path) -> None:
    (own_zone_files / "MovedUnderARule").write_bytes(zone_file(3600))
    schedule = parse_schedule("crontab", "0 12 * * *", timezone="MovedUnderARule")
    noon = int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp())
    assert schedule.next_after((noon - 7200) * US) == (noon - 3600) * US

    data = zone_named("MovedUnderARule").data
    assert not zone_named("MovedUnderARule").is_stale

    (own_zone_files / "MovedUnderARule").write_bytes(zone_file(7200))
    assert schedule.next_after((noon - 7200) * US) == (noon - 3600) * US
    assert zone_named("MovedUnderARule").is_stale
    assert are_zones_stale()
    reread_zones()
    assert zone_named("MovedUnderARule").data != data
    assert not zone_named("MovedUnderARule").is_stale
    assert schedule.next_after((noon - 7201) * US) == (noon - 7200) * US

    (own_zone_files / "MovedUnderARule").unlink()
    reread_zones()
    assert not zone_named("MovedUnderARule").is_stale
    assert schedule.next_after((noon - 7201) * US) == (noon - 7200) * US


# What is known of a zone is learned in blocks of 2**25 seconds; nothing may depend on where they end.
@pytest.mark.parametrize("before_edge_s", [-7200, -601, -60, -1, 0, 1, 59, 600, 3599, 7200])
@pytest.mark.parametrize(("old", "new"), [(3600, 0), (0, 3600), (7200, -7200), (-7200, 7200)])
def test_change_beside_the_edge_of_a_block(
    own_zone_files: Path, before_edge_s: int, old: int, new: int
) -> None:
    change = (52 << 25) - before_edge_s
    name = f"Edge{before_edge_s}{old}{new}"
    (own_zone_files / name).write_bytes(zone_file(old, (change, new)))
    every = parse_schedule("crontab", "* 0-23 * * *", timezone=name)
    real = parse_schedule("crontab", "* * * * *", timezone=name)

    span = (change - 8 * 3600) * US, (change + 8 * 3600) * US
    minutes = 16 * 60
    assert real.count_between(*span) == len(list(real.between(*span))) == minutes
    # Each local minute once: the repeated ones are left out, the skipped ones are one run at the
    # change, which is a run of its own only when it does not fall on a full minute.
    repeated = max(0, (old - new) // 60)
    extra = 1 if new > old and change % 60 else 0
    assert every.count_between(*span) == len(list(every.between(*span)))
    assert every.count_between(*span) == minutes - repeated + extra
