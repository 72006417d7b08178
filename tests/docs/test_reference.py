"""The pages of the reference that people write say what the code says."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import pytest

from jobctl import errors
from jobctl.beat.audit import Wrong
from jobctl.engine.local import hearing, templates
from jobctl.job import Change, Reason, State
from jobctl.protocol import requests
from jobctl.protocol.framing import MAX_FRAME_BYTES
from jobctl.protocol.requests import NewJob, NewStep, Request
from jobctl.result import Outcome, Verdict
from jobctl.worker import functions, keeper, template
from tests.docs.pages import ROOT
from tests.docs.pictures import PICTURES
from tests.support.daemon import running_daemon

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REFERENCE = ROOT / "docs/reference"


# -- tables ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of a page: the nearest heading above it, its head, and its rows, cell by cell."""

    heading: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables_of(name: str) -> list[Table]:
    """The tables of a page of the reference."""
    found = []
    heading = ""
    rows: list[tuple[str, ...]] = []
    for line in [*(REFERENCE / name).read_text().splitlines(), ""]:
        if line.startswith("|"):
            rows.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
            continue
        if rows:
            found.append(Table(heading, rows[0], tuple(rows[2:])))
            rows = []
        if line.startswith("#"):
            heading = line.lstrip("# ").strip("`")
    return found


def table_of(name: str, *head: str) -> Table:
    """The one table of a page whose head begins like that."""
    (found,) = [table for table in tables_of(name) if table.head[: len(head)] == head]
    return found


def names_in(cells: Iterator[str]) -> list[str]:
    """What stands in backticks in some cells."""
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


# -- schedules ------------------------------------------------------------------------------------


def test_the_page_of_schedules_names_everything_that_an_audit_can_find() -> None:
    assert names_in(row[0] for row in table_of("schedules.md", "wrong").rows) == list(Wrong)


# -- states ---------------------------------------------------------------------------------------


def test_the_page_of_states_names_every_change_with_its_states() -> None:
    told = {
        (change, frozenset(sources.split(", ")), target)
        for change, sources, target, _ in table_of("states.md", "change").rows
    }
    assert told == {
        (change.name.lower().replace("_", " "), frozenset(change.sources), change.target)
        for change in Change
    }


def test_the_page_of_states_names_every_state_outcome_and_reason() -> None:
    assert {row[0] for row in table_of("states.md", "state").rows} == set(State)
    assert {row[0] for row in table_of("states.md", "outcome").rows} == set(Verdict)
    assert {row[0] for row in table_of("states.md", "reason").rows} == set(Reason)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_the_code_draws(name: str) -> None:
    assert (ROOT / name).read_text() == PICTURES[name](), "run: python -m tests.docs.pictures"


# -- errors ---------------------------------------------------------------------------------------


def all_errors(kind: type[errors.JobctlError]) -> Iterator[type[errors.JobctlError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from all_errors(child)


def test_the_page_of_exit_codes_names_every_error() -> None:
    told = {row[:3] for row in table_of("exit-codes.md", "`code`").rows}
    assert told == {
        (f"`{kind.code}`", str(kind.exit_code), f"`{kind.__name__}`")
        for kind in all_errors(errors.JobctlError)
    }


def test_every_exit_code_of_an_error_is_explained() -> None:
    explained = {
        row[0] for table in tables_of("exit-codes.md") for row in table.rows if len(row) < 4
    }
    assert {str(kind.exit_code) for kind in all_errors(errors.JobctlError)} <= explained


def test_the_tree_in_the_code_names_every_error_with_its_code() -> None:
    assert errors.__doc__ is not None
    drawn = dict(re.findall(r"(\w+) {2,}(\d+) ", errors.__doc__))
    assert drawn == {kind.__name__: str(kind.exit_code) for kind in all_errors(errors.JobctlError)}


# -- the protocol ---------------------------------------------------------------------------------


def type_in_words(hint: Any) -> str:
    """A type as the page writes it."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return "JSON value"
    if origin is UnionType:
        return " or ".join(map(type_in_words, parts))
    if origin is list:
        return f"list of {type_in_words(parts[0])}"
    if origin is dict:
        return f"object of {type_in_words(parts[1])}"
    words = {int: "integer", float: "number", str: "text", bool: "true or false", NoneType: "null"}
    return words[hint]


def fields_of(kind: type[Request]) -> list[tuple[str, str, str]]:
    """Name, type and default of each field, as the page writes them."""
    hints = get_type_hints(kind)
    return [
        (
            f"`{field.name}`",
            type_in_words(hints[field.name]),
            "must be there"
            if field.default is dataclasses.MISSING
            else f"`{json.dumps(field.default)}`",
        )
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
    ]


def tables_under(heading: str) -> dict[str, Table]:
    """The tables of one request, by the first cell of their heads."""
    return {t.head[0]: t for t in tables_of("protocol.md") if t.heading == heading}


@pytest.mark.parametrize(
    "kind", [*requests.REQUESTS.values(), NewJob, NewStep], ids=lambda kind: kind.do
)
def test_the_page_of_the_protocol_names_every_field_of_a_request(kind: type[Request]) -> None:
    table = tables_under(kind.do).get("field")
    told = [row[:3] for row in table.rows] if table else []
    assert told == fields_of(kind)


def test_the_page_of_the_protocol_names_no_other_request() -> None:
    text = (REFERENCE / "protocol.md").read_text()
    headings = set(re.findall(r"^### `(\w+)`$", text, re.MULTILINE))
    assert headings == {*requests.REQUESTS, NewJob.do, NewStep.do}


def test_the_page_of_the_protocol_names_its_number_and_its_limit() -> None:
    text = (REFERENCE / "protocol.md").read_text()
    assert f"protocol number {requests.PROTOCOLS[-1]} of both" in text
    assert f"at most {MAX_FRAME_BYTES >> 20} MiB long" in text


CONFIG = """
[tasks.hello]
command = ["echo", "hi"]
[tasks.round]
function = "math:floor"
[tasks.tick]
command = ["true"]
every = "1s"
[notify.nobody]
kind = "command"
command = ["true"]
on = ["cancelled"]
"""


def test_the_page_of_the_protocol_names_every_key_of_the_answers() -> None:
    with running_daemon(CONFIG) as daemon:
        job = daemon.submit(task="hello")
        daemon.wait(job)
        daemon.until(
            "an instant to be served",
            lambda: daemon.call(requests.History(schedule="tick"))["fires"],
        )
        daemon.call(requests.Pause(queue="held", paused=True))
        daemon.submit(task="hello", queue="held")
        asked: list[Request] = [
            requests.Submit(jobs=[{"task": "hello"}]),
            requests.SubmitWorkflow(
                jobs=[{"task": "hello"}, {"task": "hello"}],
                steps=[{}, {"after": [0]}],
                shape=["chain", 0, 1],
            ),
            requests.Workflows(),
            requests.Status(job=job),
            requests.List(limit=1),
            requests.Wait(jobs=[job]),
            requests.Result(job=job),
            requests.Cancel(job=job),
            requests.Health(late_s=300.0, waiting_s=0.0),
            requests.Metrics(),
            requests.Schedules(),
            requests.Next(),
            requests.History(schedule="tick"),
            requests.Why(name="tick"),
            requests.Audit(),
            requests.ShowSchedule(name="tick"),
            requests.AddSchedule(name="later", table={"task": "hello", "at": "2999-01-01"}),
            requests.EditSchedule(name="later", table={"at": "2999-01-02"}),
            requests.DisableSchedule(name="later"),
            requests.EnableSchedule(name="later"),
            requests.RunSchedule(name="later"),
            requests.RemoveSchedule(name="later"),
            requests.Pause(queue="default", paused=False),
            requests.Limit(queue="default"),
            requests.Purge(queue="default"),
            requests.Scale(group="default"),
            requests.TestRoute(),
            requests.Restart(group="default"),
            requests.Changes(),
            requests.Backup(),
            requests.Prune(),
            requests.StoreStats(),
            requests.Reload(),
            requests.Logs(job=job),
            requests.Forget(job=job),
            requests.Retry(job=job),
            requests.Stop(mode="kill"),
        ]
        answers: dict[str, Mapping[str, Any]] = {"hello": daemon.client.hello}
        told_of_looks = {}
        for what, keys, *_ in table_of("protocol.md", "`what`").rows:
            look = daemon.call(requests.Inspect(what=what.strip("`")))
            told_of_looks[what.strip("`")] = (set(names_in(iter([keys]))), set(look))
        with pytest.raises(errors.UsageError) as refusal:
            daemon.call(requests.Inspect(what="nothing"))
        running = daemon.shell("exec sleep 1000")
        daemon.until("a job to run", lambda: daemon.status(running)["state"] == "STARTED")
        unanswered = {"inspect"}
        try:
            answers["pause_job"] = daemon.call(requests.PauseJob(job=running, paused=False))
        except errors.Conflict:
            # Nobody lets the daemon make cgroups here.
            unanswered.add("pause_job")
        for request in asked:
            answers[request.do] = daemon.call(request)
            if isinstance(request, requests.SubmitWorkflow):
                workflow = int(answers[request.do]["id"])
                answers["workflow"] = daemon.call(requests.Workflow(workflow=workflow))
        daemon.wait_for_exit()

    assert set(told_of_looks) == set(refusal.value.hint.split(", "))
    for what, (told_keys, keys_that_came) in told_of_looks.items():
        if what not in {"stats", "conf"}:
            assert told_keys == keys_that_came, what
    assert answers.keys() == requests.REQUESTS.keys() - unanswered
    for name, answer in answers.items():
        for head, table in tables_under(name).items():
            told = names_in(row[0] for row in table.rows)
            if head == "answer":
                assert set(told) == set(answer), name
            elif head.startswith("in "):
                (within,) = names_in(iter([head]))
                assert set(told) == set(answer[within][0]), (name, within)


def said(module: Any) -> set[str]:
    """The kinds of messages that a module tells apart, from the text of its ``match``."""
    return set(re.findall(r'case "(\w+)":', Path(module.__file__).read_text()))


def test_the_page_of_the_protocol_names_every_message_of_the_channel_to_workers() -> None:
    to_workers = table_of("protocol.md", "the daemon says, in `do`")
    from_workers = table_of("protocol.md", "they say, in `is`")
    orders = said(keeper) | said(functions) | said(template)
    words = said(hearing) | said(templates)
    assert set(names_in(row[0] for row in to_workers.rows)) == orders
    assert set(names_in(row[0] for row in from_workers.rows)) == words


def test_the_page_of_the_protocol_names_every_field_of_an_outcome() -> None:
    table = table_of("protocol.md", "field", "type", "")
    told = [row[0].strip("`") for row in table.rows]
    assert sorted(told) == sorted(field.name for field in dataclasses.fields(Outcome))
