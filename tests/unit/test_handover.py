"""Who gets a job after the end of another: what is refused, and what it is told."""

from __future__ import annotations

from typing import Any

from jobctl.arguments import Parameter, ParameterKind
from jobctl.plan.handover import FACTS, arguments_for, handover_faults
from tests.docs.pages import ROOT
from tests.support.builders import a_task


def faults(**tasks: dict[str, Any]) -> list[tuple[str, str]]:
    """Of tasks by name: where, and what."""
    made = {name: a_task(name, **{"command": ["true"], **keys}) for name, keys in tasks.items()}
    aliases = {alias: task.name for task in made.values() for alias in task.aliases}
    known = frozenset({*made, *aliases})
    found = handover_faults(made, aliases, dict.fromkeys(made), known=known)
    return [(".".join(map(str, fault.path[1:])), fault.message) for fault in found]


def a_parameter(name: str, kind: ParameterKind = ParameterKind.EITHER, **rest: Any) -> Parameter:
    return Parameter(name=name, kind=kind, **{"annotation": None, "has_default": False, **rest})


def test_a_task_may_hand_over_to_several_that_share_a_follower() -> None:
    assert (
        faults(
            a={"on_success": "b", "on_failure": "c"},
            b={"on_failure": "d"},
            c={"on_failure": "d"},
            d={},
        )
        == []
    )


def test_a_task_that_leads_back_to_itself_is_refused() -> None:
    assert faults(a={"on_retry": "a"}) == [("a.on_retry", "its jobs would never end: a -> a")]
    assert faults(
        a={"on_success": "b"},
        b={"on_failure": "c"},
        c={"on_retry": "old"},
        d={"aliases": ["old"], "on_success": "a"},
    ) == [
        ("a.on_success", "its jobs would never end: a -> b -> c -> d -> a"),
        ("b.on_failure", "its jobs would never end: b -> c -> d -> a -> b"),
        ("c.on_retry", "its jobs would never end: c -> d -> a -> b -> c"),
        ("d.on_success", "its jobs would never end: d -> a -> b -> c -> d"),
    ]


def test_a_task_before_a_ring_is_not_blamed_for_it() -> None:
    found = faults(a={"on_success": "b"}, b={"on_success": "c"}, c={"on_success": "b"})
    assert [place for place, _ in found] == ["b.on_success", "c.on_success"]


def test_a_task_that_does_not_exist_is_refused() -> None:
    assert faults(alert={}, a={"on_failure": "alrt"}) == [
        ("a.on_failure", 'there is no task "alrt"')
    ]


def test_a_task_that_may_be_declared_by_code_is_not_refused() -> None:
    task = a_task("a", on_failure="shop.alert")
    assert not list(handover_faults({"a": task}, {}, {"a": None}, known=None))


def test_a_command_that_needs_another_argument_is_refused() -> None:
    ((place, message),) = faults(
        a={"on_failure": "mail"}, mail={"command": ["mail", "{job_id}", "{to}"]}
    )
    assert place == "a.on_failure"
    assert "needs the argument {to}" in message
    with_default = {"command": ["mail", "{job_id}", "{to}"], "kwargs": {"to": "root"}}
    assert faults(a={"on_failure": "mail"}, mail=with_default) == []


def test_a_function_that_needs_another_argument_is_refused() -> None:
    tasks = {
        "a": a_task("a", on_failure="alert"),
        "alert": a_task("alert", command=None, function="shop:alert"),
    }
    names = {"a": None, "alert": (a_parameter("job_id"), a_parameter("room"))}
    ((fault),) = handover_faults(tasks, {}, names, known=frozenset(tasks))
    assert 'needs the argument "room"' in fault.message


TOLD: dict[str, Any] = {**dict.fromkeys(FACTS), "job_id": 7, "error_message": "a\0b"}


def test_a_command_is_told_everything_without_what_no_variable_can_hold() -> None:
    told = arguments_for(a_task(), None, TOLD)
    assert told.keys() == FACTS.keys()
    assert (told["job_id"], told["exit_code"], told["error_message"]) == (7, "", "a\ufffdb")


def test_a_function_is_told_what_it_has_parameters_for() -> None:
    task = a_task(command=None, function="shop:alert")
    some = (a_parameter("state"), a_parameter("job_id", ParameterKind.KEYWORD_ONLY))
    rest = (a_parameter("more", ParameterKind.VAR_KEYWORD),)
    assert arguments_for(task, some, TOLD) == {"job_id": 7, "state": None}
    assert arguments_for(task, some + rest, TOLD) == TOLD
    assert arguments_for(task, None, TOLD) == TOLD
    assert arguments_for(task, (), TOLD) == {}


def test_what_the_tasks_own_arguments_fill_is_not_told_twice() -> None:
    task = a_task(command=None, function="shop:alert", args=["all"])
    names = (a_parameter("state"), a_parameter("job_id"))
    assert arguments_for(task, names, TOLD) == {"job_id": 7}


def test_the_page_tells_of_every_fact() -> None:
    page = (ROOT / "docs/how-to/hand-over.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert {name.strip("`"): meaning.replace("`", "") for name, meaning in rows} == FACTS
