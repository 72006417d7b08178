"""How jobs and absences are told: the same facts give the same words."""

from __future__ import annotations

from typing import Any

import pytest

from jobctl.clock import SECOND
from jobctl.daemon.handlers.why.facts import DownFacts, FireFacts, InstantFacts, JobFacts, Standing
from jobctl.daemon.handlers.why.sentences import (
    instant_sentences,
    job_sentences,
    origin_sentences,
    teller,
)
from jobctl.job import State

T0 = 1_795_141_800 * SECOND
"""2026-11-20 02:30:00 UTC."""

MINUTE = 60 * SECOND
UTC = teller("UTC")


def a_job(state: State, **others: Any) -> JobFacts:
    given = {"id": 17, "what": "backup", "queue": "default", "submitted_at": T0, **others}
    if state in {State.SUCCESS, State.FAILURE, State.REVOKED}:
        given.setdefault("finished_at", T0 + MINUTE)
    if state is not State.PENDING:
        given.setdefault("started_at", T0)
    return JobFacts(state=state, **given)


@pytest.mark.parametrize(
    ("job", "sentences"),
    [
        (
            a_job(State.PENDING),
            ['Job 17 is ready, and waits for a free worker of queue "default".'],
        ),
        (
            a_job(State.PENDING, is_begun=None),
            ["Job 17 is ready to begin, but no daemon is running."],
        ),
        (
            a_job(State.PENDING, eta=T0 + MINUTE, reason="waits for its time"),
            ["Job 17 waits for its time: 2026-11-20 02:31:00+00:00."],
        ),
        (
            a_job(State.PENDING, reason="no such task"),
            ["Job 17 has not begun: no such task."],
        ),
        (
            a_job(State.PENDING, earlier=(3, 4, 5), reason="waits for …"),
            ["Job 17 waits until jobs 3, 4 and 5 of its schedule have ended."],
        ),
        (
            a_job(State.PENDING, paused_at=T0, reason='queue "default" is paused'),
            [
                'Job 17 has not begun: its queue "default" is paused since 2026-11-20 02:30:00+00:00.',
                "jobctl queue resume default lets it go on.",
            ],
        ),
        (
            a_job(State.STARTED),
            ["Job 17 has been running since 2026-11-20 02:30:00+00:00."],
        ),
        (
            a_job(State.STARTED, attempts=2, is_stopping=True),
            [
                "Job 17 has been running since 2026-11-20 02:30:00+00:00, attempt 3.",
                "It was asked to stop.",
            ],
        ),
        (
            a_job(State.STARTED, is_paused=True),
            [
                "Job 17 has been running since 2026-11-20 02:30:00+00:00.",
                'It is paused; "jobctl resume 17" lets it go on.',
            ],
        ),
        (
            a_job(State.STARTED, is_begun=False),
            ["Job 17 was given to a worker at 2026-11-20 02:30:00+00:00 and has not begun yet."],
        ),
        (
            a_job(State.RETRY, exit_code=3, eta=T0 + MINUTE, said="disk full", attempts=1),
            [
                "Job 17 ended with exit code 3, and waits for its next attempt.",
                "That begins at 2026-11-20 02:31:00+00:00.",
                "The last it said: disk full",
            ],
        ),
        (
            a_job(State.SUCCESS),
            ["Job 17 succeeded at 2026-11-20 02:31:00+00:00 after 1m."],
        ),
        (
            a_job(State.SUCCESS, finished_at=T0 + 4_321),
            ["Job 17 succeeded at 2026-11-20 02:30:00+00:00 after 4ms."],
        ),
        (
            a_job(State.FAILURE, exit_code=127, attempts=1, said="pg_dump: not found"),
            [
                "Job 17 failed at 2026-11-20 02:31:00+00:00: it ended with exit code 127.",
                "The last it said: pg_dump: not found",
            ],
        ),
        (
            a_job(State.FAILURE, signal=9, attempts=3),
            [
                "Job 17 failed at 2026-11-20 02:31:00+00:00 after 3 attempts: it was ended by signal 9."
            ],
        ),
        (
            a_job(State.FAILURE, verdict="timeout", signal=15, attempts=1),
            ["Job 17 failed at 2026-11-20 02:31:00+00:00: it ran out of time."],
        ),
        (
            a_job(State.FAILURE, exit_code=3, attempts=2, reason="its deadline has passed"),
            [
                "Job 17 failed at 2026-11-20 02:31:00+00:00 after 2 attempts: it ended with exit code 3.",
                "Its deadline left no time for another attempt.",
            ],
        ),
        (
            a_job(State.FAILURE, verdict="lost", attempts=1),
            ["Job 17 failed at 2026-11-20 02:31:00+00:00: it was lost with its worker."],
        ),
        (
            a_job(State.FAILURE, attempts=1, said="ValueError: no address"),
            [
                "Job 17 failed at 2026-11-20 02:31:00+00:00.",
                "The last it said: ValueError: no address",
            ],
        ),
        (
            a_job(State.REVOKED, reason="expired"),
            ["Job 17 was revoked at 2026-11-20 02:31:00+00:00: expired."],
        ),
    ],
)
def test_how_a_job_stands(job: JobFacts, sentences: list[str]) -> None:
    assert job_sentences(job, UTC) == sentences


def test_where_a_job_comes_from() -> None:
    made = a_job(State.STARTED, made_for=("nightly", T0))

    assert origin_sentences(made, UTC) == [
        'Job 17 (backup) was made for the instant 2026-11-20 02:30:00+00:00 of schedule "nightly".'
    ]
    assert origin_sentences(a_job(State.STARTED), UTC) == [
        "Job 17 (backup) was submitted at 2026-11-20 02:30:00+00:00."
    ]


def missed(down: DownFacts | None) -> list[str]:
    """What is told about a missed instant after what was due."""
    facts = InstantFacts(
        schedule="backup",
        task="backup",
        timezone="UTC",
        standing=Standing.DECIDED,
        now=T0 + 10 * MINUTE,
        is_daemon_up=True,
        at=T0,
        fire=FireFacts(
            first=T0, last=T0, count=1, fate="missed", job_id=None, reason="no daemon was running"
        ),
        down=down,
    )
    first, *rest = instant_sentences(facts)
    assert first.startswith('"backup" was due at')
    assert rest[0] == "It was missed: no daemon was running."
    return rest[1:]


@pytest.mark.parametrize(
    ("down", "sentences"),
    [
        (None, []),
        (
            DownFacts(next_from=T0 + MINUTE),
            ["No daemon is known to have served before 2026-11-20 02:31:00+00:00."],
        ),
        (
            DownFacts(ran_from=T0 - 2 * MINUTE, stopped_at=T0 - MINUTE, next_from=T0 + MINUTE),
            ["No daemon served from 2026-11-20 02:29:00+00:00 to 2026-11-20 02:31:00+00:00."],
        ),
        (
            DownFacts(ran_from=T0 - 2 * MINUTE, stopped_at=T0 - MINUTE),
            ["No daemon has served since 2026-11-20 02:29:00+00:00."],
        ),
        (
            DownFacts(ran_from=T0 - 2 * MINUTE),
            [
                "The daemon that served since 2026-11-20 02:28:00+00:00 was killed, and none has served "
                "since."
            ],
        ),
    ],
)
def test_when_no_daemon_served(down: DownFacts | None, sentences: list[str]) -> None:
    assert missed(down) == sentences


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "2026-11-20 02:30:00+00:00"),
        ("Asia/Kathmandu", "2026-11-20 08:15:00+05:45"),
        ("America/St_Johns", "2026-11-19 23:00:00-03:30"),
    ],
)
def test_moments_are_told_with_their_offset(zone: str, text: str) -> None:
    assert teller(zone)(T0 + 999_999) == text
