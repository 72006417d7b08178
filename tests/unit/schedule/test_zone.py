from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from jobctl.schedule import ScheduleError, parse_schedule, reread_zones
from jobctl.schedule.zone import zone_named

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
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([tmp_path])
    yield tmp_path
    zoneinfo.reset_tzpath(before)
    reread_zones()


def zone_file_without_changes(offset_s: int) -> bytes:
    """A zone file of the second version with one offset for all times (RFC 8536)."""
    header = b"TZif2" + bytes(15)
    counts = b"".join(count.to_bytes(4, "big") for count in (0, 0, 0, 0, 1, 4))
    body = offset_s.to_bytes(4, "big", signed=True) + b"\0\0" + b"XXX\0"
    sign = "-" if offset_s > 0 else ""
    return (header + counts + body) * 2 + f"\nXXX{sign}{abs(offset_s) // 3600}\n".encode()


def test_new_zone_data_moves_schedules_that_exist(own_zone_files: Path) -> None:
    (own_zone_files / "Moved").write_bytes(zone_file_without_changes(3600))
    schedule = parse_schedule("crontab", "0 12 * * *", timezone="Moved")
    noon = int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp())
    assert schedule.next_after((noon - 7200) * US) == (noon - 3600) * US

    (own_zone_files / "Moved").write_bytes(zone_file_without_changes(7200))
    assert schedule.next_after((noon - 7200) * US) == (noon - 3600) * US
    reread_zones()
    assert schedule.next_after((noon - 7201) * US) == (noon - 7200) * US

    (own_zone_files / "Moved").unlink()
    reread_zones()
    assert schedule.next_after((noon - 7201) * US) == (noon - 7200) * US
