"""What Celery's beat was told becomes tables: entry by entry, with what is different."""

from __future__ import annotations

from typing import Any

import pytest
import tomli

from jobctl.importers.celery_beat import Imported, Verdict, convert

FULL = {
    "minute": range(60),
    "hour": range(24),
    "day_of_month": range(1, 32),
    "month_of_year": range(1, 13),
    "day_of_week": range(7),
}


def interval(seconds: float) -> dict[str, Any]:
    return {"kind": "interval", "seconds": seconds}


def crontab(**fields: tuple[str, list[int]]) -> dict[str, Any]:
    """As the reader tells it: each field as it was written and what Celery made of it."""
    told = {name: ("*", list(values)) for name, values in FULL.items()} | fields
    return {
        "kind": "crontab",
        "written": {name: text for name, (text, _) in told.items()},
        "means": {name: values for name, (_, values) in told.items()},
        "type": "crontab",
    }


def an_entry(name: str = "one", **given: Any) -> dict[str, Any]:
    return {
        "name": name,
        "task": "shop.tasks.add",
        "schedule": interval(30.0),
        "args": [],
        "kwargs": {},
        "options": {},
        "relative": False,
        "function": "shop.tasks:add",
        "is_bound": False,
        "faults": [],
    } | given


def the_entry(timezone: str | None = "UTC", **given: Any) -> Imported:
    (entry,) = convert({"timezone": timezone, "entries": [an_entry(**given)]}).entries
    return entry


def table_of(entry: Imported) -> dict[str, Any]:
    assert entry.table is not None
    return dict(entry.table)


@pytest.mark.parametrize(
    ("seconds", "every"),
    [
        (30.0, "30s"),
        (0.5, "0.5s"),
        (90.0, "90s"),
        (3600.0, "1h"),
        (86400.0, "1d"),
        (604800.0, "7d"),
        (0.000001, "0.000001s"),
    ],
)
def test_an_interval_keeps_its_span(seconds: float, every: str) -> None:
    assert table_of(the_entry(schedule=interval(seconds)))["every"] == every


def test_what_beat_does_at_overlap_and_after_a_pause_is_said() -> None:
    entry = the_entry()

    assert entry.verdict is Verdict.CLEAN
    assert table_of(entry) == {
        "task": "shop.tasks.add",
        "every": "30s",
        "on_overlap": "allow",
        "on_missed": "once",
    }


def test_an_interval_without_a_pause_is_a_decision() -> None:
    assert the_entry(schedule=interval(0.0)).verdict is Verdict.DECISION


def test_a_crontab_keeps_its_text_and_the_zone_of_the_application() -> None:
    fields = {"minute": ("30", [30]), "hour": ("*/6", [0, 6, 12, 18])}
    table = table_of(the_entry("Europe/Berlin", schedule=crontab(**fields)))

    assert table["cron"] == "30 */6 * * *"
    assert table["timezone"] == "Europe/Berlin"
    assert "dialect" not in table


def test_without_a_zone_of_its_own_the_daemons_is_meant() -> None:
    assert "timezone" not in table_of(the_entry(None, schedule=crontab()))


def test_two_restricted_day_fields_are_both_meant() -> None:
    fields = {"day_of_month": ("13", [13]), "day_of_week": ("fri", [5])}
    entry = the_entry(schedule=crontab(**fields))

    assert table_of(entry)["dialect"] == "celery"
    assert entry.verdict is Verdict.NOTE
    assert "both day fields" in entry.notes[0]


def test_a_range_over_the_end_of_its_field_needs_the_dialect_and_says_so() -> None:
    entry = the_entry(schedule=crontab(day_of_week=("fri-mon", [0, 1, 5, 6])))

    assert table_of(entry)["cron"] == "* * * * fri-mon"
    assert "over the end" in entry.notes[0]


def test_a_text_that_means_something_else_here_is_written_as_lists() -> None:
    entry = the_entry(schedule=crontab(minute=("quarterly", [0, 15, 30, 45])))

    assert table_of(entry)["cron"] == "0,15,30,45 * * * *"
    assert "quarterly" in entry.notes[0]


def test_a_date_that_never_comes_is_a_decision_with_the_reason() -> None:
    fields = {"day_of_month": ("31", [31]), "month_of_year": ("2", [2])}
    entry = the_entry(schedule=crontab(**fields))

    assert entry.verdict is Verdict.DECISION
    assert "never" in entry.notes[0]


def test_an_event_of_the_sun_keeps_its_place() -> None:
    event = {"event": "sunset", "latitude": -37.8, "longitude": 144.9}

    assert table_of(the_entry(schedule={"kind": "solar", **event}))["solar"] == event


def test_a_class_of_the_application_is_a_decision() -> None:
    entry = the_entry(schedule={"kind": "unknown", "type": "BusinessDays"})

    assert entry.verdict is Verdict.DECISION
    assert "BusinessDays" in entry.notes[0]


def test_options_of_messages_find_their_place_or_are_told() -> None:
    options = {"expires": 15, "queue": "mail", "routing_key": "x", "countdown": 3, "shadow": None}
    found = convert({"timezone": "UTC", "entries": [an_entry(options=options)]})
    (entry,) = found.entries

    assert table_of(entry)["expires"] == "15s"
    assert found.tasks["shop.tasks.add"] == {"function": "shop.tasks:add", "queue": "mail"}
    assert entry.verdict is Verdict.DECISION
    assert [note.split(" = ")[0] for note in entry.notes] == [
        "option countdown",
        "option routing_key is about the broker, and there is none",
    ]


def test_one_task_in_two_queues_is_a_decision() -> None:
    entries = [an_entry("a", options={"queue": "x"}), an_entry("b", options={"queue": "y"})]
    first, second = convert({"timezone": "UTC", "entries": entries}).entries

    assert first.verdict is Verdict.CLEAN
    assert second.verdict is Verdict.DECISION


@pytest.mark.parametrize(
    "given",
    [
        {"args": [1, None]},
        {"kwargs": {"a": {"b": [None]}}},
        {"faults": ["args: Object of type date is not JSON serializable"], "args": None},
        {"function": None},
    ],
)
def test_what_cannot_be_said_waits_as_a_comment(given: dict[str, Any]) -> None:
    found = convert({"timezone": "UTC", "entries": [an_entry(**given)]})

    assert found.entries[0].verdict is Verdict.DECISION
    assert "schedules" not in tomli.loads(found.text())
    assert "# [schedules.one]" in found.text()


def test_celerys_own_tasks_are_left_out() -> None:
    found = convert({"timezone": "UTC", "entries": [an_entry(task="celery.backend_cleanup")]})

    assert found.entries[0].verdict is Verdict.LEFT_OUT
    assert found.text() == ""


def test_names_become_names_of_ours_and_stay_apart() -> None:
    entries = [an_entry("add now!"), an_entry("add now"), an_entry("ж"), an_entry("x" * 300)]
    found = convert({"timezone": "UTC", "entries": entries})

    assert [entry.name for entry in found.entries] == ["add-now", "add-now-2", "entry", "x" * 190]
    assert set(tomli.loads(found.text())["schedules"]) == {entry.name for entry in found.entries}


def test_hostile_names_stay_inside_their_strings_and_comments() -> None:
    hostile = 'x"\n[daemon]\nstate_dir = "/etc"\n\x1b[2J\x9b'
    entries = [
        an_entry(hostile, task=hostile, function=None),
        an_entry("b", args=[hostile], kwargs={hostile: hostile}),
        an_entry("c", options={hostile: hostile}),
    ]
    text = convert({"timezone": "UTC", "entries": entries}).text()

    read = tomli.loads(text)
    assert set(read) == {"tasks", "schedules"}
    assert read["schedules"]["b"]["args"] == [hostile]
    assert read["schedules"]["b"]["kwargs"] == {hostile: hostile}
    assert not any(letter in text for letter in "\x1b\x9b")
