"""The states in SQL are those of the one table in job.py: CHECK lists, sources and targets."""

from __future__ import annotations

import re
from collections import defaultdict
from importlib.resources import files

import pytest

from jobctl.job import FINAL, Change, State
from jobctl.result import Verdict
from jobctl.store.statements import migrations

SQL = files("jobctl.store") / "sql"


def statements() -> dict[str, tuple[str, str]]:
    """``{folder/name: (comment, statement)}`` of everything but the migrations."""
    found = {}
    for folder in SQL.iterdir():
        if folder.name == "migrations":
            continue
        for file in folder.iterdir():
            lines = file.read_text().splitlines()
            comment = " ".join(line[2:].strip() for line in lines if line.startswith("--"))
            text = " ".join(line.strip() for line in lines if not line.startswith("--"))
            found[f"{folder.name}/{file.name.removesuffix('.sql')}"] = (comment, text)
    return found


STATEMENTS = statements()
CHANGING = {
    name: (comment, text)
    for name, (comment, text) in STATEMENTS.items()
    if re.search(r"\bSET\b.*?\bstate = '", text.partition(" WHERE ")[0])
}


def quoted(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"'(\w+)'", text))


def named_change(comment: str) -> Change:
    found = re.findall(r"Changes: (\w+)\.", comment)
    assert len(found) == 1, f"names {found}, not one change"
    return Change[found[0]]


def outer_sources(text: str) -> frozenset[str]:
    """The states in the last condition: that of the statement itself, not of a subselect."""
    conditions = re.findall(r"\bstate (?:IN \(([^)]*)\)|= ('\w+'))", text.partition(" WHERE ")[2])
    assert conditions, "the WHERE names no state"
    return quoted("".join(conditions[-1]))


def test_there_are_statements_that_change_a_state() -> None:
    assert {"jobs/claim", "jobs/succeed", "jobs/expire", "jobs/renew"} <= CHANGING.keys()


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_every_statement_says_what_it_promises(name: str) -> None:
    assert STATEMENTS[name][0]


@pytest.mark.parametrize("name", sorted(CHANGING))
def test_a_changing_statement_sets_the_target_of_the_change_it_names(name: str) -> None:
    comment, text = CHANGING[name]
    change = named_change(comment)

    targets = re.findall(r"\bstate = '(\w+)'", text.partition(" WHERE ")[0])

    assert targets == [change.target.value]


@pytest.mark.parametrize("name", sorted(CHANGING))
def test_a_changing_statement_starts_from_sources_of_the_change_only(name: str) -> None:
    comment, text = CHANGING[name]

    assert outer_sources(text) <= {state.value for state in named_change(comment).sources}


def test_the_statements_of_a_change_cover_all_its_sources() -> None:
    covered: dict[Change, set[str]] = defaultdict(set)
    for comment, text in CHANGING.values():
        covered[named_change(comment)] |= outer_sources(text)

    assert covered == {change: {s.value for s in change.sources} for change in Change}


def test_a_statement_that_names_a_change_makes_it() -> None:
    naming = {name for name, (comment, _) in STATEMENTS.items() if "Changes:" in comment}

    assert naming == CHANGING.keys()


def test_a_new_job_is_pending() -> None:
    assert quoted(STATEMENTS["jobs/submit"][1]) == {State.PENDING.value}


def schema_check(column: str) -> dict[str, str]:
    """What the CHECK on a column asks of each of its values, over all migrations, the last one counting."""
    script = "".join(migration[2] for migration in migrations())
    (*_, case) = re.findall(rf"CHECK \(CASE {column}\b(.*?)ELSE FALSE END\)", script, re.DOTALL)
    found = re.findall(r"WHEN '(\w+)'\s+THEN (.*?)(?=WHEN|\Z)", case, re.DOTALL)
    return {value: " ".join(asked.split()) for value, asked in found}


def test_the_database_knows_exactly_the_states() -> None:
    assert schema_check("state").keys() == {state.value for state in State}


def test_the_database_knows_exactly_the_verdicts() -> None:
    assert schema_check("verdict").keys() == {verdict.value for verdict in Verdict}


def test_the_database_asks_of_each_state_what_belongs_to_it() -> None:
    for name, asked in schema_check("state").items():
        state = State(name)
        assert ("line IS NULL" in asked) == (state in FINAL)
        assert ("finished_at IS NOT NULL" in asked) == (state in FINAL)
        assert ("token IS NOT NULL" in asked) == (state is State.STARTED)
