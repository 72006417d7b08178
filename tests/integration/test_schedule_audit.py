"""The audit over a real store: histories that a beat has made, and the same ones broken by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.beat.audit import Wrong
from jobctl.clock import SECOND
from jobctl.daemon.handlers import audit as handler
from jobctl.daemon.retention import PAUSE_S, Retention
from jobctl.errors import NotFound
from jobctl.plan import DaemonSettings
from jobctl.protocol import requests
from tests.support.builders import a_schedule, in_state
from tests.support.clock import START

if TYPE_CHECKING:
    from pathlib import Path

    from jobctl.store.database import Database
    from tests.support.asking import Asking
    from tests.support.beating import Beating

MINUTE = 60 * SECOND


def live(beating: Beating) -> None:
    """A life with everything in it: jobs, skips, a daemon that was away, an edit, a pause, a clock that
    was set back."""
    beating.take(a_schedule(), a_schedule("gone", every="30s"))
    for _ in range(3):
        beating.after(60)
    beating.begin_all()
    for _ in range(5):
        beating.after(60)
    beating.end_all()
    beating.clock.advance(1800)
    beating.start()
    beating.take_again()
    beating.step()
    beating.take(a_schedule(cron="*/7 * * * *"))
    for _ in range(20):
        beating.after(60)
        beating.begin_all()
        beating.end_all()
    beating.take(a_schedule(every="1m", on_overlap="allow"))
    beating.after(60)
    beating.after(60)
    beating.clock.step(-7200)
    beating.step()
    for _ in range(3):
        beating.after(60)


def wrongs(answer: dict[str, Any]) -> list[str]:
    return [violation["wrong"] for violation in answer["violations"]]


def test_what_a_beat_has_made_is_proved(beating: Beating, asking: Asking) -> None:
    live(beating)

    answer = asking.ask(requests.Audit())

    assert (answer["violations"], answer["unjudged"], answer["count"]) == ([], [], 0)
    assert answer["schedules"] == 2
    assert answer["instants"] > 60
    assert answer["rows"] > 10


def test_one_schedule_is_proved_or_those_of_a_task(beating: Beating, asking: Asking) -> None:
    live(beating)

    assert asking.ask(requests.Audit(schedule="gone"))["schedules"] == 1
    assert asking.ask(requests.Audit(schedule="backup"))["schedules"] == 1
    with pytest.raises(NotFound):
        asking.ask(requests.Audit(schedule="never"))


BROKEN = {
    Wrong.NO_FATE: "DELETE FROM fires WHERE first = (SELECT max(first) FROM fires WHERE rule = 1)",
    Wrong.TWO_FATES: "UPDATE fires SET last = last + 60000000, count = count + 1 "
    "WHERE fate = 'skipped' AND schedule = 1",
    Wrong.NO_INSTANT: "UPDATE fires SET first = first + 1, last = last + 1 "
    "WHERE first = (SELECT min(first) FROM fires WHERE schedule = 1)",
    Wrong.COUNT: "UPDATE fires SET count = count + 1 WHERE fate = 'skipped'",
    Wrong.NO_RULE: "UPDATE fires SET rule = rule + 1 "
    "WHERE schedule = 1 AND rule = 1 AND first = "
    "(SELECT min(first) FROM fires WHERE schedule = 1 AND rule = 1)",
    Wrong.EARLY: "UPDATE schedules SET watermark = watermark - 60000000 WHERE id = 1",
    Wrong.NO_JOB: "DELETE FROM jobs WHERE id = (SELECT max(id) FROM jobs)",
    Wrong.OTHER_JOB: "UPDATE jobs SET schedule = 2 WHERE schedule = 1",
    Wrong.RULES: "UPDATE rules SET ends_at = NULL WHERE schedule = 1 AND number = 1",
}


@pytest.mark.parametrize("wrong", list(Wrong))
def test_each_kind_of_broken_row_is_found(
    beating: Beating, asking: Asking, database: Database, wrong: Wrong
) -> None:
    live(beating)
    with database.transaction():
        database.execute(BROKEN[wrong])
        assert database.changes() >= 1

    answer = asking.ask(requests.Audit())

    assert wrong.value in wrongs(answer)
    assert answer["count"] == len(answer["violations"])


def test_what_retention_has_removed_is_not_missed(
    beating: Beating, asking: Asking, tmp_path: Path
) -> None:
    live(beating)
    clock = beating.clock
    retention = Retention(database=beating.database, clock=clock, output_dir=tmp_path / "output")
    retention.take_settings(DaemonSettings(keep_s=2400.0, keep_jobs=2))
    before = asking.ask(requests.Audit())
    clock.advance(3 * 3600 + PAUSE_S)
    while retention.is_due(clock.monotonic()):
        with beating.database.transaction():
            retention.step(clock.now(), clock.monotonic())
    beating.step()

    after = asking.ask(requests.Audit())

    assert after["violations"] == []
    assert after["rows"] < before["rows"]


def test_a_rule_by_zone_data_that_is_gone_is_named_and_not_judged(
    beating: Beating, asking: Asking, database: Database
) -> None:
    beating.take(a_schedule(cron="0 2 * * *", timezone="Europe/Berlin"))
    beating.after(20 * 3600)
    with database.transaction():
        database.execute("UPDATE rules SET zone_data = 'another'")

    answer = asking.ask(requests.Audit())

    assert (answer["count"], answer["instants"]) == (0, 0)
    assert [(one["schedule"], one["rule"]) for one in answer["unjudged"]] == [("backup", 1)]
    assert "zone data" in answer["unjudged"][0]["why"]


def test_a_rule_that_is_not_understood_is_named_and_not_judged(
    beating: Beating, asking: Asking, database: Database
) -> None:
    beating.take(a_schedule())
    beating.after(60)
    with database.transaction():
        database.execute("""UPDATE rules SET identity = replace(identity, '"1m"', '"soon"')""")

    answer = asking.ask(requests.Audit())

    assert [one["rule"] for one in answer["unjudged"]] == [1]


def test_a_schedule_goes_on_while_it_is_judged(
    beating: Beating, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two slices time passes, the clock is set back, the rule is edited."""
    monkeypatch.setattr(handler, "SLICE", 1)
    monkeypatch.setattr(handler, "PAGE_ROWS", 2)
    beating.take(a_schedule(on_overlap="allow"))
    for _ in range(10):
        beating.after(60)

    def go_on(turn: int) -> None:
        if turn % 3 == 0:
            beating.after(60)
        if turn == 10:
            beating.clock.step(-300)
            beating.step()
        if turn == 20:
            beating.take(a_schedule(every="2m", on_overlap="allow"))
        assert turn < 1000

    answer = asking.ask(requests.Audit(), between=go_on)

    assert answer["violations"] == []
    assert answer["instants"] >= 10


def test_no_turn_judges_all_of_many_rows(beating: Beating, asking: Asking) -> None:
    beating.take(*(a_schedule(f"s{number}", on_overlap="allow") for number in range(60)))
    for _ in range(20):
        beating.after(60)

    asking.ask(requests.Audit())

    assert asking.slices > 60 * 20 / handler.SLICE


def test_a_job_of_nobody_is_no_fault_of_a_schedule(
    beating: Beating, asking: Asking, database: Database
) -> None:
    beating.take(a_schedule())
    in_state(database, "SUCCESS", id=77, now=START)

    assert asking.ask(requests.Audit())["count"] == 0
