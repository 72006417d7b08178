"""What the example of an event listener tells, and what it keeps to itself."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def listener() -> ModuleType:
    """The script, loaded as a module: it belongs to no package."""
    spec = importlib.util.spec_from_file_location(
        "supervisor_listener", ROOT / "supervisor/listener.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks its module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def told(listener: ModuleType, *events: Any) -> list[str]:
    """What is told of events: the name of a state, with ``!`` if it was not expected, or a tick's trouble."""
    watch, found = listener.Watch("jobctl"), []
    for event in events:
        if event in ("well", "late"):
            text = watch.take(
                "TICK_60", {"when": "0"}, lambda event=event: "" if event == "well" else "late"
            )
        else:
            name = event.removesuffix("!")
            facts = {"processname": "jobctl", "expected": "0" if event.endswith("!") else "1"}
            text = watch.take(f"PROCESS_STATE_{name}", facts, lambda: "")
        found.append(text or "")
    return [text for text in found if text]


def test_trouble_is_told_once_after_the_second_tick_and_its_end_too(listener: ModuleType) -> None:
    assert told(listener, "late", "late", "late", "well", "well") == [
        "jobctl is not well: late",
        "jobctl is well again",
    ]
    assert told(listener, "late", "well", "late", "well") == []


def test_what_supervisord_starts_again_by_itself_is_not_told(listener: ModuleType) -> None:
    assert told(listener, "EXITED!", "STARTING", "RUNNING", "well") == []


@pytest.mark.parametrize("end", ["EXITED", "FATAL"])
def test_an_end_for_good_is_told_at_once_and_once(listener: ModuleType, end: str) -> None:
    found = told(listener, end, "late", "late", "STARTING", "RUNNING", "well")

    assert len(found) == 2
    assert found[1] == "jobctl is well again"


def test_what_somebody_has_stopped_is_left_alone(listener: ModuleType) -> None:
    assert told(listener, "STOPPING", "STOPPED", "late", "late", "late") == []
    assert told(listener, "FATAL", "STOPPED", "STARTING", "RUNNING", "well") == [
        "jobctl is down: supervisord has given up starting it"
    ]


def test_other_programs_are_no_concern(listener: ModuleType) -> None:
    watch = listener.Watch("jobctl")

    assert watch.take("PROCESS_STATE_FATAL", {"processname": "web"}, lambda: "") is None


@pytest.mark.parametrize(
    ("check", "trouble"),
    [
        (["/bin/true"], ""),
        (["/bin/sh", "-c", "echo bad; echo more; exit 2"], "bad"),
        (["/bin/sh", "-c", "exit 2"], "exit code 2"),
    ],
)
def test_a_check_tells_its_first_line(listener: ModuleType, check: list[str], trouble: str) -> None:
    assert listener.trouble_of(check) == trouble


def test_a_check_that_is_not_there_is_trouble(listener: ModuleType) -> None:
    assert "No such file" in listener.trouble_of(["/nonexistent"])
