"""Listing, agenda and history on a real store: names, pages, filters, and no long turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND
from jobctl.daemon.handlers import schedules as handlers
from jobctl.errors import NotFound, UsageError
from jobctl.protocol import requests
from tests.support.builders import a_schedule, a_task
from tests.support.clock import START

if TYPE_CHECKING:
    from tests.support.asking import Asking
    from tests.support.beating import Beating

MINUTE = 60 * SECOND


def history(asking: Asking, name: str = "backup", **fields: Any) -> list[tuple[str, int, str]]:
    """``(schedule, minutes after the start, fate)`` of what ``history`` answers."""
    fires = asking.ask(requests.History(schedule=name, **fields))["fires"]
    return [(fire["schedule"], (fire["at"] - START) // MINUTE, fire["fate"]) for fire in fires]


def minutes(fires: list[tuple[str, int, str]]) -> list[int]:
    return [minute for _, minute, _ in fires]


# -- history ----------------------------------------------------------------------------------------


def served(beating: Beating, count: int, **keys: Any) -> None:
    """So many minutes pass, each with a turn; every job ends before the next instant."""
    for _ in range(count):
        beating.after(60)
        beating.begin_all()
        beating.end_all()


def test_the_newest_instant_comes_first(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())
    served(beating, 3)

    assert minutes(history(asking)) == [3, 2, 1]


def test_pages_follow_each_other_without_a_gap(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())
    served(beating, 7)

    found, cursor = [], None
    while True:
        answer = asking.ask(requests.History(schedule="backup", limit=3, cursor=cursor))
        found += [(fire["at"] - START) // MINUTE for fire in answer["fires"]]
        cursor = answer["next"]
        if cursor is None:
            break

    assert found == [7, 6, 5, 4, 3, 2, 1]


def test_pages_over_schedules_that_are_due_at_once_lose_none(
    beating: Beating, asking: Asking
) -> None:
    names = [f"s{number}" for number in range(5)]
    beating.take(*(a_schedule(name, on_overlap="allow") for name in names))
    for _ in range(3):
        beating.after(60)

    found, cursor = [], None
    while True:
        answer = asking.ask(requests.History(schedule="backup", limit=4, cursor=cursor))
        found += [(fire["schedule"], fire["at"]) for fire in answer["fires"]]
        cursor = answer["next"]
        if cursor is None:
            break

    assert len(found) == len(set(found)) == 15
    assert [at for _, at in found] == sorted((at for _, at in found), reverse=True)


def test_a_moment_that_a_clock_showed_twice_is_two_rows_on_two_pages(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule(on_overlap="allow"))
    for _ in range(3):
        beating.after(60)
    beating.clock.step(-180)
    for _ in range(3):
        beating.after(60)

    found, cursor = [], None
    while True:
        answer = asking.ask(requests.History(schedule="backup", limit=1, cursor=cursor))
        found += [((fire["at"] - START) // MINUTE, fire["job_id"]) for fire in answer["fires"]]
        cursor = answer["next"]
        if cursor is None:
            break

    assert found == [(3, 6), (3, 3), (2, 5), (2, 2), (1, 4), (1, 1)]


def test_a_task_has_the_history_of_all_of_its_schedules(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(), a_schedule("each-second-minute", every="2m"))
    served(beating, 2)

    assert sorted(history(asking)) == [
        ("backup", 1, "submitted"),
        ("backup", 2, "submitted"),
        ("each-second-minute", 2, "submitted"),
    ]
    assert history(asking, "each-second-minute") == [("each-second-minute", 2, "submitted")]
    assert minutes(history(asking, is_schedule=True)) == [2, 1]


def test_a_removed_schedule_keeps_its_history(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(), a_schedule("gone"))
    served(beating, 1)
    beating.take(a_schedule())

    assert minutes(history(asking, "gone")) == [1]


def test_a_task_whose_own_schedule_was_removed_keeps_its_history(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule())
    served(beating, 1)
    beating.take()

    assert minutes(history(asking)) == [1]


def test_filters_combine(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule())
    beating.after(60)
    beating.begin_all()
    beating.after(60)
    beating.end_all()
    served(beating, 2)

    assert history(asking) == [
        ("backup", 4, "submitted"),
        ("backup", 3, "submitted"),
        ("backup", 2, "skipped"),
        ("backup", 1, "submitted"),
    ]
    assert minutes(history(asking, fates=["skipped"])) == [2]
    assert minutes(history(asking, since=START + 3 * MINUTE)) == [4, 3]
    assert minutes(history(asking, before=START + 3 * MINUTE)) == [2, 1]
    both = history(asking, fates=["submitted"], before=START + 4 * MINUTE, since=START + 2 * MINUTE)
    assert minutes(both) == [3]


def test_a_range_that_reaches_into_the_time_asked_for_is_shown(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule())
    beating.after(600)  # nine minutes without a turn

    assert history(asking, since=START + 5 * MINUTE)[-1] == ("backup", 1, "missed")
    assert history(asking, since=START + 9 * MINUTE + 1) == [("backup", 10, "submitted")]


def test_a_range_of_an_earlier_rule_that_reaches_there_is_shown_behind_a_later_one(
    beating: Beating, asking: Asking
) -> None:
    """The clock was set back into a range: the newer rule has instants that the older range surrounds."""
    beating.take(a_schedule(on_overlap="allow"))
    beating.after(600)
    beating.clock.step(-540)
    beating.step()
    beating.after(60)

    assert history(asking, since=START + 8 * MINUTE) == [
        ("backup", 10, "submitted"),
        ("backup", 9, "coalesced"),
        ("backup", 1, "missed"),
    ]
    assert ("backup", 2, "submitted") in history(asking)


def test_a_schedule_without_an_instant_has_an_empty_history(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule())

    assert history(asking) == []


def test_what_never_was_is_not_found(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule("nightly"))

    with pytest.raises(NotFound, match='no schedule and no task "backups"'):
        history(asking, "backups")
    # A task without a schedule of its name.
    with pytest.raises(NotFound, match='no schedule "backup"'):
        history(asking, "backup", is_schedule=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"limit": 0},
        {"limit": 1001},
        {"fates": ["lost"]},
        {"cursor": "1.1"},
        {"cursor": "1." + "1" * 60},
        {"cursor": ""},
    ],
)
def test_what_makes_no_sense_is_refused(
    beating: Beating, asking: Asking, fields: dict[str, Any]
) -> None:
    beating.take(a_schedule())

    with pytest.raises(UsageError):
        history(asking, **fields)


# -- list -------------------------------------------------------------------------------------------


def test_schedules_are_listed_by_name_in_pages(beating: Beating, asking: Asking) -> None:
    beating.take(*(a_schedule(name) for name in ("c", "a", "d", "b")))

    first = asking.ask(requests.Schedules(limit=3))
    second = asking.ask(requests.Schedules(limit=3, after=first["next"]))

    assert [one["name"] for one in first["schedules"]] == ["a", "b", "c"]
    assert ([one["name"] for one in second["schedules"]], second["next"]) == (["d"], None)


def test_names_can_be_asked_for_by_their_beginning(beating: Beating, asking: Asking) -> None:
    beating.take(*(a_schedule(name) for name in ("backup", "back-office", "report")))

    found = asking.ask(requests.Schedules(prefix="back"))["schedules"]

    assert [one["name"] for one in found] == ["back-office", "backup"]


def test_a_schedule_that_makes_no_jobs_says_why(beating: Beating, asking: Asking) -> None:
    beating.take(
        a_schedule("done", at="2027-01-15 08:01"),
        a_schedule("off", enabled=False),
        a_schedule("on"),
        a_schedule("paused"),
    )
    beating.pause("paused", until_s=600)
    beating.after(60)

    found = asking.ask(requests.Schedules())["schedules"]

    assert [(one["name"], one["state"]) for one in found] == [
        ("done", "done"),
        ("off", "disabled"),
        ("on", "active"),
        ("paused", "paused"),
    ]
    assert found[3]["paused_until"] == START + 600 * SECOND


# -- agenda -----------------------------------------------------------------------------------------


def agenda(asking: Asking, **fields: Any) -> list[tuple[str, int]]:
    fires = asking.ask(requests.Next(**fields))["fires"]
    return [(fire["schedule"], (fire["at"] - START) // MINUTE) for fire in fires]


def test_the_agenda_is_in_the_order_of_time(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule("slow", every="3m"), a_schedule("quick", every="2m"))

    assert agenda(asking, limit=5) == [
        ("quick", 2),
        ("slow", 3),
        ("quick", 4),
        ("quick", 6),
        ("slow", 6),
    ]


def test_the_agenda_of_a_task_holds_its_schedules_only(beating: Beating, asking: Asking) -> None:
    tasks = (a_task("backup"), a_task("report"))
    schedules = (a_schedule("nightly"), a_schedule("report", task="report"))
    beating.take(*schedules, tasks=tasks)

    assert agenda(asking, schedule="backup", limit=1) == [("nightly", 1)]
    assert agenda(asking, schedule="nightly", limit=1) == [("nightly", 1)]
    with pytest.raises(NotFound):
        agenda(asking, schedule="nothing")


def test_the_agenda_ends_with_its_span_and_says_if_it_was_cut(
    beating: Beating, asking: Asking
) -> None:
    beating.take(a_schedule())

    whole = asking.ask(requests.Next(within_s=180.0, limit=3))
    cut = asking.ask(requests.Next(within_s=180.0, limit=2))

    assert (len(whole["fires"]), whole["more"]) == (3, False)
    assert (len(cut["fires"]), cut["more"]) == (2, True)


def test_what_is_disabled_is_not_in_the_agenda(beating: Beating, asking: Asking) -> None:
    beating.take(a_schedule(enabled=False))

    assert agenda(asking) == []


# -- many -------------------------------------------------------------------------------------------


def test_no_turn_looks_at_all_of_many_schedules(
    beating: Beating, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "SLICE_NAMES", 10)
    beating.take(*(a_schedule(f"s{number:03}") for number in range(200)))
    beating.after(60)

    monkeypatch.setattr(handlers, "SLICE_ROWS", 10)
    for request in (
        requests.Schedules(limit=5),
        requests.Next(limit=5),
        requests.History(schedule="backup", limit=5),
    ):
        asking.ask(request)
        assert asking.slices >= 20, request
