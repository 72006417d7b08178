"""What the page on schedules says is what schedules do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobctl.schedule import Kind, ScheduleError, parse_schedule
from jobctl.schedule.grammar import NICKNAMES
from jobctl.schedule.lints import HERD, LintCode
from jobctl.schedule.solar import SolarEvent

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "schedules.md"


def section(title: str) -> str:
    found = re.search(
        rf"^##+ {title}\n(.*?)(?=^##|\Z)",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert found is not None, title
    return found[1]


def first_column(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def test_every_warning_is_told() -> None:
    assert first_column(section("Warnings")) == [code.value for code in LintCode]
    assert HERD == 20, "the page says twenty"


@pytest.mark.parametrize("text", first_column(section("What is refused")))
def test_what_is_refused_is_refused_as_told(text: str) -> None:
    answer = re.search(
        rf"^\| `{re.escape(text)}` \| (.*) \|$", section("What is refused"), re.MULTILINE
    )
    assert answer is not None
    with pytest.raises(ScheduleError) as refused:
        parse_schedule("crontab", text)
    for written in re.findall(r"write `([^`]+)`", answer[1]):
        assert written in refused.value.hint


def test_every_item_of_the_grammar_is_taken() -> None:
    table = section("Crontabs").partition("these items")[2]
    items = [item for line in table.splitlines() if line.startswith("| `")
             for item in re.findall(r"`([^`]+)`", line.split("|")[1])]  # fmt: skip
    assert len(items) > 15
    for item in items:
        fields = {"L": 2, "L-3": 2, "15W": 2, "LW": 2, "5#3": 4, "5L": 4, "fri-sun": 4}
        texts = ["0", "0", "*", "*", "*"]
        texts[fields.get(item, 0)] = item
        parse_schedule("crontab", " ".join(texts))


def test_every_nickname_kind_and_event_is_told() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in [*NICKNAMES, *SolarEvent]:
        assert f"`{name}`" in page
    for kind in Kind:
        assert f"| {kind} |" in page
