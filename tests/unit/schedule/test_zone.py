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


def zone_file(offset_s: int, *changes: tuple[int, int]) -> bytes:
    """A zone file of the second version (RFC 8536): an offset, then moments with new ones."""
    offsets = [offset_s, *(offset for _, offset in changes)]

    def block(width: int) -> bytes:
        counts = (0, 0, 0, len(changes), len(offsets), 4)
        return b"".join([
            b"TZif2" + bytes(15),
            *(count.to_bytes(4, "big") for count in counts),
            *(moment.to_bytes(width, "big", signed=True) for moment, _ in changes),
            bytes(range(1, len(changes) + 1)),
            *(offset.to_bytes(4, "big", signed=True) + b"\0\0" for offset in offsets),
            b"XXX\0",
        ])  # fmt: skip

    last = offsets[-1] // 3600
    return block(4) + block(8) + f"\nXXX{-last}\n".encode()


def test_new_zone_data_moves_schedules_that_exist(own_zone_files: Path) -> None:
    (own_zone_files / "Moved").write_bytes(zone_file(3600))
    schedule = parse_schedule("crontab", "0 12 * * *", timezone="Moved")
    noon = int(datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp())
    assert schedule.next_after((noon - 7200) * US) == (noon - 3600) * US

    (own_zone_files / "Moved").write_bytes(zone_file(7200))
    assert schedule.next_after((noon - 7200) * US) == (noon - 3600) * US
    reread_zones()
    assert schedule.next_after((noon - 7201) * US) == (noon - 7200) * US

    (own_zone_files / "Moved").unlink()
    reread_zones()
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
