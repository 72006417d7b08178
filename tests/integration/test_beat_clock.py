"""The beat when a clock is set, a host sleeps, or its zone data changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobctl.beat.beat import FIRST_SLICE
from jobctl.beat.ledger import SLICE
from jobctl.clock import SECOND
from jobctl.store import jobs as job_rows
from tests.support.beating import Beating, every
from tests.support.builders import a_schedule
from tests.support.clock import START
from tests.support.zone_files import zone_file, zones_from

if TYPE_CHECKING:
    from pathlib import Path


# -- the clock --------------------------------------------------------------------------------------


def test_of_many_that_are_due_the_first_few_are_served_first(beating: Beating) -> None:
    """Their jobs can begin while the rest is served, and a herd costs few commits all the same."""
    count = 3 * SLICE
    beating.take(*(every("1h", name=f"s{n}", on_overlap="allow") for n in range(count)))

    def herd() -> list[int]:
        beating.clock.advance(3600)
        served: list[int] = []
        while beating.beat.is_due(beating.clock.now()):
            before = job_rows.highest_id(beating.database)
            with beating.database.transaction():
                beating.beat.step(beating.clock.now())
            served.append(job_rows.highest_id(beating.database) - before)
        return served

    first, second = herd(), herd()

    assert sum(first) == count
    assert first[:3] == [FIRST_SLICE, 2 * FIRST_SLICE, 4 * FIRST_SLICE]
    assert max(first) == SLICE
    assert second == first


def test_a_turn_serves_no_more_than_a_slice(beating: Beating) -> None:
    """What is due beyond that waits for the next turns, also when one schedule makes up for it all."""
    on_missed = {"on_missed": "all", "missed_limit": 3 * SLICE, "on_overlap": "allow"}
    beating.take(every("1m", **on_missed), *(every("1h", name=f"s{n}") for n in range(SLICE)))
    beating.clock.advance(2 * SLICE * 60 + 1)

    turns = []
    while beating.beat.is_due(beating.clock.now()):
        before = beating.database.total_changes()
        with beating.database.transaction():
            beating.beat.step(beating.clock.now())
        turns.append(beating.database.total_changes() - before)

    assert len(turns) > 2
    # Each fate is a row with a job and a watermark at most; the schedule that is under way is finished.
    assert max(turns) <= 3 * (SLICE + 2)
    assert beating.fates() == [("submitted", 1)] * (2 * SLICE)
    for n in range(SLICE):
        assert beating.fates(f"s{n}") == [("missed", 2 * SLICE // 60)]


def test_a_clock_set_back_repeats_nothing(beating: Beating) -> None:
    beating.take(a_schedule(cron="* * * * *", on_overlap="allow"))
    for _ in range(5):
        beating.after(60)

    beating.clock.step(-240)
    for _ in range(3):
        beating.after(60)

    assert len(beating.fires()) == 5
    beating.after(60)
    beating.after(60)
    assert beating.fates() == [("submitted", 1)] * 6


def test_a_clock_set_forward_is_no_storm(beating: Beating) -> None:
    beating.take(a_schedule(cron="* * * * *", on_overlap="allow"))

    beating.clock.step(4 * 3600 + 30)
    beating.step()

    assert beating.fates() == [("missed", 239), ("submitted", 1)]
    assert beating.fires()[0]["reason"] == "the clock was set forward over it"


def test_a_clock_set_forward_by_years_is_one_row_and_one_job(beating: Beating) -> None:
    beating.take(a_schedule(cron="* * * * * *", on_missed="once"))

    beating.clock.step(5 * 365 * 86_400)
    beating.step()

    assert beating.fates() == [("coalesced", 5 * 365 * 86_400 - 1), ("submitted", 1)]


def test_a_clock_set_to_1970_waits_without_a_second_run(beating: Beating) -> None:
    beating.take(every("1m"))
    beating.after(60)

    beating.clock.set(0)
    beating.step()
    beating.take_again()
    beating.step()

    assert beating.fates() == [("submitted", 1)]


# -- intervals and the clock --------------------------------------------------------------------------


@pytest.mark.parametrize("by_s", [-7 * 86_400.0, -3600.0, -59.5, 61.25, 3600.0, 5 * 365 * 86_400.0])
def test_an_interval_does_not_look_at_a_clock_that_is_set(beating: Beating, by_s: float) -> None:
    beating.take(every("1m", on_overlap="allow", on_missed="all"))
    for _ in range(3):
        beating.after(60)
    beating.clock.advance(20)

    beating.clock.step(by_s)
    beating.step()
    beating.step()
    assert len(beating.fires()) == 3
    beating.after(39.999999)
    assert len(beating.fires()) == 3
    beating.after(0.000001)

    assert beating.fates() == [("submitted", 1)] * 4
    assert beating.beat.entries()["backup"].number == 2


def test_an_interval_does_not_look_at_a_clock_that_was_set_while_no_daemon_ran(
    beating: Beating,
) -> None:
    beating.take(every("1m", on_overlap="allow"))
    beating.after(60)
    beating.clock.advance(20)
    beating.clock.step(-86_400)
    beating.start()
    beating.take_again()

    beating.after(40)

    assert beating.fates() == [("submitted", 1)] * 2


def test_a_first_plan_that_was_refused_leaves_intervals_as_they_are(beating: Beating) -> None:
    beating.plan = beating.plan.with_schedule(every("1m", on_overlap="allow"))
    beating.database.begin()
    beating.beat.prepare(beating.plan, beating.clock.now())
    beating.database.rollback()
    beating.beat.recover()
    beating.take_again()

    beating.clock.step(3600)
    beating.step()
    beating.after(60)

    assert beating.fates() == [("submitted", 1)]


def test_after_a_reboot_the_wall_clock_is_right(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))
    beating.after(60)
    beating.clock.step(86_430)
    beating.boot_id = "boot-2"
    beating.start()
    beating.take_again()
    beating.step()

    assert beating.fates() == [("submitted", 1), ("missed", 1439), ("submitted", 1)]


def test_an_interval_with_a_start_follows_the_clock(beating: Beating) -> None:
    beating.take(every("1h", start="2027-01-01", on_overlap="allow"))
    beating.after(1800)

    beating.clock.step(1800)
    beating.step()

    assert [row["first"] - START for row in beating.fires()] == [3600 * SECOND]


def test_small_corrections_of_the_clock_add_up(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))
    for _ in range(5):
        beating.clock.step(0.3)
        beating.step()

    assert beating.beat.entries()["backup"].number == 2
    beating.after(59.7)
    assert beating.fates() == [("submitted", 1)]


def test_time_that_the_host_sleeps_is_time_for_an_interval(beating: Beating) -> None:
    beating.take(every("10m", on_overlap="allow"))

    beating.clock.suspend(3605)
    beating.step()

    assert beating.fates() == [("missed", 5), ("submitted", 1)]
    assert beating.fires()[0]["reason"] == "the host was suspended"


def test_a_clock_that_is_set_in_a_refused_turn_moves_intervals_once(beating: Beating) -> None:
    beating.take(every("1m", on_overlap="allow"))
    beating.clock.advance(20)
    beating.clock.step(-3600)

    beating.spoil()
    beating.step()
    beating.after(40)

    assert beating.fates() == [("submitted", 1)]
    assert beating.beat.entries()["backup"].number == 2


# -- the zone data of the host ------------------------------------------------------------------------


def test_new_zone_data_is_followed_while_the_daemon_runs(beating: Beating, tmp_path: Path) -> None:
    with zones_from(tmp_path):
        (tmp_path / "MovedByDay").write_bytes(zone_file(3600))
        (tmp_path / "Still").write_bytes(zone_file(3600))
        moved = a_schedule(cron="0 12 * * *", timezone="MovedByDay", on_overlap="allow")
        still = a_schedule("still", cron="0 12 * * *", timezone="Still")
        beating.take(moved, still)
        beating.after(3 * 3600)

        (tmp_path / "MovedByDay").write_bytes(zone_file(7200))
        (tmp_path / "Still").write_bytes(zone_file(3600))
        beating.after(600)

        entries = beating.beat.entries()
        assert {name: entry.number for name, entry in entries.items()} == {"backup": 2, "still": 1}
        day = 86_400 * SECOND
        assert entries["backup"].next_at == START + 2 * 3600 * SECOND + day
        assert entries["still"].next_at == START + 3 * 3600 * SECOND + day
        beating.after(23 * 3600 - 600)
        assert beating.fates() == [("submitted", 1)] * 2


def test_new_zone_data_loses_no_instant_that_passed_without_a_daemon(
    beating: Beating, tmp_path: Path
) -> None:
    with zones_from(tmp_path):
        (tmp_path / "MovedWhileDown").write_bytes(zone_file(3600))
        beating.take(a_schedule(cron="0 12 * * *", timezone="MovedWhileDown", on_missed="once"))
        beating.clock.advance(3 * 86_400)

        (tmp_path / "MovedWhileDown").write_bytes(zone_file(7200))
        beating.start()
        beating.take_again()
        beating.step()

        assert beating.fates() == [("coalesced", 2), ("submitted", 1)]


def test_new_zone_data_in_a_refused_turn_is_followed_in_the_next(
    beating: Beating, tmp_path: Path
) -> None:
    with zones_from(tmp_path):
        (tmp_path / "MovedUnserved").write_bytes(zone_file(3600))
        beating.take(a_schedule(cron="0 12 * * *", timezone="MovedUnserved"))
        (tmp_path / "MovedUnserved").write_bytes(zone_file(7200))
        beating.clock.advance(600)
        assert beating.beat.is_due(beating.clock.now())

        beating.spoil()
        assert beating.beat.entries()["backup"].number == 1
        beating.step()

        assert beating.beat.entries()["backup"].number == 2
        assert beating.beat.next_due() == START + 2 * 3600 * SECOND


def test_a_schedule_whose_zone_is_gone_is_held_and_stops_no_other(
    beating: Beating, tmp_path: Path
) -> None:
    beating.take(every("1m"))
    beating.plan = beating.plan.with_schedule(
        a_schedule("lost", cron="0 12 * * *", timezone="Europe/Atlantis")
    )
    beating.take_again()

    beating.after(60)

    lost = beating.beat.entries()["lost"]
    assert (lost.state, lost.next_at) == ("held", None)
    assert "Atlantis" in (lost.held_because or "")
    assert beating.fates() == [("submitted", 1)]
