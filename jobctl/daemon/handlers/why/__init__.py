"""Why: what became of an instant or a job, told in sentences.

`facts` says what has to be known, `instants` and `jobs` look it up, `asked` reads the moment that somebody
asks about, `sentences` tells it. The sentences are made here and not on a screen, so that whoever asks over
the socket gets the same answer.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, Final

from jobctl.daemon.handlers.schedules import describe_fire, schedules_named
from jobctl.daemon.handlers.why.asked import LocalTime
from jobctl.daemon.handlers.why.instants import (
    Found,
    find_instant,
    instant_facts,
    rule_facts,
    zone_of,
)
from jobctl.daemon.handlers.why.jobs import job_facts
from jobctl.daemon.handlers.why.sentences import (
    instant_sentences,
    job_sentences,
    origin_sentences,
    teller,
)
from jobctl.errors import NotFound, UsageError
from jobctl.store import rules as rule_rows

if TYPE_CHECKING:
    from collections.abc import Generator

    from jobctl.clock import Moment
    from jobctl.daemon.handlers.why.facts import InstantFacts, JobFacts, RuleFacts
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.protocol import requests

MOST: Final = 20
"""Schedules of one task that are told about: those whose instant was the last."""

SLICE: Final = 10
"""Schedules that are looked at in one turn."""

LAST_ID: Final = 2**63


def why(
    station: Station, call: Call, request: requests.Why
) -> Generator[None, None, dict[str, Any]]:
    """What became of an instant of a schedule, of those of a task, or of a job."""
    if request.at is not None and request.local is not None:
        raise UsageError('"at" and "local" are two ways to say one thing')
    asked: Moment | LocalTime | None = request.at
    if request.local is not None:
        asked = LocalTime.parse(request.local)
    return _why(station, request.name, asked, jobs_only=not call.sees_all)


def _why(
    station: Station, name: str, asked: Moment | LocalTime | None, *, jobs_only: bool
) -> Generator[None, None, dict[str, Any]]:
    if jobs_only:
        # A task may be named like the id of a job.
        job = _job_named(station, name)
        if job is None:
            raise NotFound(f"there is no job {name}", hint="jobctl list shows yours.")
        return _of_job(station, name, job)
    try:
        names = yield from schedules_named(station, name, also_removed=True)
    except NotFound as absent:
        job = _job_named(station, name)
        if job is None:
            raise NotFound(
                f'there is no schedule, no task and no job "{name}"',
                hint="jobctl schedule list, jobctl inspect registered and jobctl list show them.",
            ) from absent
        if asked is not None:
            raise UsageError(
                f"{name} is a job: it has no instants to ask about",
                hint="Leave the moment out, or name a schedule.",
            ) from None
        return _of_job(station, name, job)
    found: list[tuple[tuple[int, str], Found]] = []
    for number, (schedule, task) in enumerate(names, start=1):
        one = find_instant(station, schedule, task, asked)
        if one is not None:
            # The latest first, and those without an instant behind them.
            found.append(((-(one.at if one.at is not None else -LAST_ID), schedule), one))
        if number % SLICE == 0:
            found = heapq.nsmallest(MOST, found, key=lambda one: one[0])
            yield
    found.sort(key=lambda one: one[0])
    facts = []
    for _, one in found[:MOST]:
        facts.append(instant_facts(station, one))
        yield
    return _of_instants(name, facts, len(names))


def _of_instants(name: str, facts: list[InstantFacts], count: int) -> dict[str, Any]:
    fires = [_describe(one) for one in facts]
    sentences: list[str] = []
    if not facts:
        sentences.append(f'Task "{name}" has no schedule: it runs when somebody submits it.')
    for fire in fires:
        sentences += fire["sentences"]
    if count > len(facts) and facts:
        sentences.append(f"Task {name} has {count - len(facts)} more schedules: name one of them.")
    return {"name": name, "fires": fires, "job": None, "sentences": sentences}


def _describe(facts: InstantFacts) -> dict[str, Any]:
    """One instant for people and programs; the keys of a row of ``history``, and what stands around it."""
    fire = facts.fire
    row = {
        "first": facts.at,
        "last": None if fire is None else fire.last,
        "count": None if fire is None else fire.count,
        "fate": None if fire is None else fire.fate,
        "job_id": None if fire is None else fire.job_id,
        "reason": None if fire is None else fire.reason,
    }
    return {
        **describe_fire(row, facts.schedule, facts.task),
        "is_exact": facts.is_exact,
        "next": facts.next_at,
        "rule": None if facts.rule is None else _describe_rule(facts.rule),
        "job": None if facts.job is None else _describe_job(facts.job),
        "earlier_job": None if facts.in_the_way is None else _describe_job(facts.in_the_way),
        "sentences": instant_sentences(facts),
    }


def _describe_rule(rule: RuleFacts) -> dict[str, Any]:
    return {
        "kind": rule.kind,
        "expression": rule.expression,
        "timezone": rule.timezone,
        "begins_at": rule.begins_at,
        "ends_at": rule.ends_at,
    }


def _describe_job(job: JobFacts) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state.value,
        "reason": job.reason,
        "attempts": job.attempts,
        "exit_code": job.exit_code,
        "signal": job.signal,
        "said": job.said or None,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


# -- jobs -------------------------------------------------------------------------------------------


def _job_named(station: Station, name: str) -> JobFacts | None:
    is_id = name.isascii() and name.isdecimal() and len(name) < len(str(LAST_ID))
    return job_facts(station, int(name)) if is_id else None


def _of_job(station: Station, name: str, job: JobFacts) -> dict[str, Any]:
    schedule = "" if job.made_for is None else job.made_for[0]
    rules = [rule_facts(rule) for rule in rule_rows.of_schedule(station.database, schedule)]
    tell = teller(zone_of(station, rules))
    sentences = origin_sentences(job, tell) + job_sentences(job, tell)
    return {"name": name, "fires": [], "job": _describe_job(job), "sentences": sentences}
