"""Workflows as trees: what is made of what, a line for each job.

``status ID`` of a workflow shows one as labelled lines, ``list --workflows`` several as one table. Written
without Rich, because ``status ID`` is a hot verb.
"""

from __future__ import annotations

from jobctl.cli.times import iso, shown, span_shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    Row = tuple[str, str, dict[str, Any] | None]
    """What is drawn before it, what it is, and the job if it is one."""

_MANY = 20
"""Members of one group; of more the first ones are shown, and how the others stand."""
_SHOWN = 10
_FINAL = ("SUCCESS", "FAILURE", "REVOKED")


def workflow_page(workflow: dict[str, Any], *, exact: bool) -> list[tuple[str, str]]:
    """Labels and texts of a workflow that the daemon answered to ``status``; as `jobctl.cli.page.job_page`."""
    moment = iso if exact else shown
    jobs = workflow["jobs"]
    ended = sum(job["state"] in _FINAL for job in jobs)
    lines = [
        ("id", str(workflow["id"])),
        ("workflow", _kind(workflow["shape"])),
        ("state", f"{workflow['state']} ({ended} of {len(jobs)} jobs have ended)"),
        ("submitted", moment(workflow["submitted_at"])),
    ]
    if workflow["state"] in _FINAL:
        lines.append(("finished", moment(max(job["finished_at"] or 0 for job in jobs))))
    for drawn, what, job in tree(workflow, is_whole=exact):
        lines.append(("jobs", f"{drawn}{what if job is None else _line_of(job, exact=exact)}"))
    return lines


def workflow_rows(
    workflows: Iterable[dict[str, Any]], *, exact: bool
) -> Iterator[tuple[object, ...]]:
    """Rows of ``list --workflows``: id, what it is, state, submitted, took, reason; each whole before its jobs."""
    moment = iso if exact else shown
    for workflow in workflows:
        yield (
            workflow["id"],
            _kind(workflow["shape"]),
            workflow["state"],
            moment(workflow["submitted_at"]),
            took(_whole(workflow), exact=exact),
            None,
        )
        for drawn, what, job in tree(workflow, is_whole=exact):
            if job is None:
                yield None, f"{drawn}{what}", None, None, None, None
            else:
                name = f"{drawn}{job['task']}"
                span = took(job, exact=exact)
                yield job["id"], name, job["state"], None, span, job.get("reason")


def tree(workflow: dict[str, Any], *, is_whole: bool) -> Iterator[Row]:
    """The lines below a workflow. ``is_whole``: large groups, too."""
    jobs = {job["id"]: job for job in workflow["jobs"]}
    shape = workflow["shape"]
    later = [job_id for job_id in jobs if job_id not in set(_leaves(shape))]
    parts = [*shape[1:], *([["on errors", *later]] if later else [])]
    yield from _below(parts, "", jobs, is_whole=is_whole)


def _below(
    parts: list[Any], drawn: str, jobs: dict[int, dict[str, Any]], *, is_whole: bool
) -> Iterator[Row]:
    cut = len(parts) if is_whole or len(parts) <= _MANY else _SHOWN
    for place, part in enumerate(parts[:cut]):
        is_last = place + 1 == len(parts)
        here, further = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        following: list[Any] = []
        if isinstance(part, list) and part[0] == "link":
            # What is linked stands below what it follows.
            _, part, *following = part
        if isinstance(part, int):
            job = jobs.get(part)
            yield f"{drawn}{here}", "" if job else f"{part} (removed)", job
        else:
            yield f"{drawn}{here}", _kind(part), None
            following = [*part[1:], *following]
        yield from _below(following, f"{drawn}{further}", jobs, is_whole=is_whole)
    if cut < len(parts):
        rest = parts[cut:]
        told = _states(jobs[leaf]["state"] for leaf in _leaves(rest) if leaf in jobs)
        yield f"{drawn}└─ ", f"… {len(rest)} more: {told}", None


def _states(states: Iterable[str]) -> str:
    counts: dict[str, int] = {}
    for state in states:
        counts[state] = counts.get(state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _kind(shape: list[Any]) -> str:
    kind, *parts = shape
    if kind == "link":
        return _kind(parts[0]) if isinstance(parts[0], list) else "link"
    return f"group of {len(parts)}" if kind == "group" else str(kind)


def _leaves(shape: Any) -> Iterator[int]:
    if isinstance(shape, int):
        yield shape
    elif isinstance(shape, list):
        for part in shape:
            yield from _leaves(part)


def _line_of(job: dict[str, Any], *, exact: bool) -> str:
    reason = f" ({job['reason']})" if job.get("reason") else ""
    span = took(job, exact=exact)
    return f"{job['id']} {job['task']} {job['state']}{reason}" + (f", took {span}" if span else "")


def _whole(workflow: dict[str, Any]) -> dict[str, Any]:
    """From the begin of its first job to the end of its last one."""
    begun = [job["started_at"] for job in workflow["jobs"] if job["started_at"] is not None]
    is_over = workflow["state"] in _FINAL
    ends = [job["finished_at"] for job in workflow["jobs"] if job["finished_at"] is not None]
    return {
        "started_at": min(begun, default=None),
        "finished_at": max(ends, default=None) if is_over else None,
    }


def took(job: dict[str, Any], *, exact: bool) -> str | None:
    """How long a job took from the begin of its last attempt; None before its end."""
    begin, end = job.get("started_at"), job.get("finished_at")
    if begin is None or end is None:
        return None
    seconds = (end - begin) / 1_000_000
    return f"{seconds:.6f}" if exact else span_shown(seconds)
