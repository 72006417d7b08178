"""What a step of a workflow takes: results of the jobs that it waited for become its first argument.

It is decided in the transaction in which the last of those jobs ends, and written into the arguments of the
step there: from then on the step is a job like any other, whatever becomes of those results. A step that
*gathers* is run by nobody: what it takes is its result, and it ends in that transaction too.
"""

from __future__ import annotations

import json
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from jobctl.clock import SECOND
from jobctl.protocol.compact import dumps
from jobctl.protocol.framing import MAX_FRAME_BYTES
from jobctl.result import Outcome, Verdict
from jobctl.store import attempts as attempt_rows
from jobctl.store import jobs as job_rows
from jobctl.store import workflows as workflow_rows
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobctl.clock import Moment
    from jobctl.store.database import Database
    from jobctl.store.jobs import Standing
    from jobctl.store.workflows import Step

LONGEST_BYTES: Final = MAX_FRAME_BYTES - (1 << 20)
"""What one step can take: its worker is given all of it in one frame."""


@dataclass
class Handed:
    """What became of jobs that were let go: ``standing`` go on, ``ended`` did so here."""

    standing: list[Standing] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)


def hand_on(database: Database, let_go: Sequence[Standing], now: Moment) -> Handed:
    """Give jobs that were let go in this transaction what they take."""
    handed = Handed()
    steps = workflow_rows.steps_of(database, [job.id for job in let_go]) if let_go else {}
    for job in let_go:
        step = steps.get(job.id)
        if step is None:
            handed.standing.append(job)
            continue
        if step.takes is not None and not fill(database, step, now):
            handed.ended.append(job.id)
        elif step.gathers:
            _gather(database, step, now)
            handed.ended.append(job.id)
        elif step.delay_s is not None:
            job_rows.postpone(database, id=job.id, eta=now + int(step.delay_s * SECOND))
            handed.standing.append(job._replace(line=job_rows.ETA_LINE))
        else:
            handed.standing.append(job)
    return handed


def fill(database: Database, step: Step, now: Moment) -> bool:
    """Write what a step takes into its arguments. False: it is too long, and the step was revoked."""
    assert step.takes is not None
    takes = json.loads(step.takes)
    sources = sorted(set(sources_of(takes)))
    size = attempt_rows.size_of_results(database, sources)
    if size > LONGEST_BYTES:
        reason = (
            f"the results that it takes have {size} bytes together, {LONGEST_BYTES} are possible"
        )
        job_rows.revoke_waiting(database, id=step.job_id, reason=reason, now=now)
        return False
    taken = _text_of(takes, attempt_rows.results_of(database, sources))
    payload = json.loads(job_rows.payload(database, step.job_id))
    args = ",".join([taken, *map(dumps, payload.pop("args")[1:])])
    rest = dumps(payload)
    job_rows.fill(database, id=step.job_id, payload=f'{{"args":[{args}],{rest[1:]}')
    return True


def sources_of(takes: Any) -> Iterator[int]:
    """The jobs whose results are taken, as they stand there."""
    if isinstance(takes, int):
        yield takes
    else:
        for part in takes:
            yield from sources_of(part)


def _text_of(takes: Any, results: dict[int, str]) -> str:
    """As JSON; null for a job that has none, which a step takes that goes on whatever became of it."""
    if isinstance(takes, int):
        return results.get(takes, "null")
    return f"[{','.join(_text_of(part, results) for part in takes)}]"


def _gather(database: Database, step: Step, now: Moment) -> None:
    """End a step that nobody runs, with what it takes."""
    begun = job_rows.begin_here(database, id=step.job_id, now=now)
    assert begun is not None
    token, number = begun
    taken, *_ = json.loads(job_rows.payload(database, step.job_id))["args"]
    outcome = Outcome(
        token=token,
        job_id=step.job_id,
        verdict=Verdict.SUCCESS,
        started_at=now,
        finished_at=now,
        result=dumps(taken),
    )
    row = attempt_rows.row_of(outcome, number=number, worker="", claimed_at=now, ran_with=None)
    attempt_rows.add(database, [row])
    job_rows.succeed(database, [(now, step.job_id, token)])
