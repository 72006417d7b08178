"""``docs/reference/celery-canvas.md``: what the cases say, as tables."""

from __future__ import annotations

from tests.contract.canvas.cases import CASES, SAME, Case

HEAD = """# Canvas, beside Celery's

Signatures, chains, groups and chords have Celery's names and mean what they mean there.
This page is made by a test from cases that were written from Celery's manual; each runs with one body on Celery 5.7 over Redis and on jobctl.
How they are used is in [compose jobs into workflows](../how-to/workflows.md).

## What differs

"""

BEYOND = """
Beyond the cases:

* Ids are numbers. `GroupResult.id` is the id of the workflow, and `jobctl status`, `cancel`, `retry` and `wait` take it.
* A job on an error is always a job of its own; Celery calls one with three arguments in the worker that failed.
* What a step needs and what does not fit is refused when it is submitted: unknown tasks, arguments that do not match, more than 10,000 jobs.
* `expires` of a step counts from the submission of the whole, not from its turn.
* `AsyncResult` has `parent`, `as_list` and `workflow`; `children`, `collect`, `graph`, `iterdeps`, `get_leaf` and stamping are not kept.
* In `jobctl`, `task.map` and `task.starmap` submit a job for each value; Celery's are `jobctl.xmap` and `jobctl.xstarmap`. In `jobctl.contrib.celery` they are Celery's.
* `chord(…, until="end")` is jobctl's own.
"""


def page() -> str:
    """The whole page."""
    differing = [case for case in CASES if case.celery is not SAME]
    lines = ["| case | jobctl | Celery | |", "|---|---|---|---|"]
    lines += [
        f"| {case.chapter}: {_cell(case.title)} | {_value(case.expected)} | {_value(case.celery)} | {_cell(case.why)} |"
        for case in differing
    ]
    parts = [HEAD + "\n".join(lines) + "\n" + BEYOND, "\n## What is the same\n"]
    for chapter in dict.fromkeys(case.chapter for case in CASES):
        same = [case for case in CASES if case.chapter == chapter and case.celery is SAME]
        parts.append(f"\n### {chapter}\n\n" + "".join(map(_line, same)))
    return "".join(parts)


def _line(case: Case) -> str:
    return f"* {case.title}\n"


def _value(value: object) -> str:
    return f"`{_cell(str(value))}`" if len(str(value)) < 60 else "differs from run to run"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
