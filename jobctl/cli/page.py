"""One job as a page of text: labelled lines, the same on a terminal and in a pipe.

Written without Rich, because ``status ID`` is a hot verb. The lines may hold anything that a job
wrote or was named; whoever prints them escapes.
"""

from __future__ import annotations

from jobctl.cli.times import iso, shown, span_shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_TAIL_LINES = 20


def job_page(job: dict[str, Any], *, exact: bool) -> list[tuple[str, str]]:
    """Labels and texts of a job, or of a workflow, that the daemon answered to ``status``.

    A label that follows itself continues: the text is its next line. ``exact`` gives moments as ISO
    8601 with offset, for programs; otherwise they are local times to the second.
    """
    if "shape" in job:
        from jobctl.cli.tree import workflow_page

        return workflow_page(job, exact=exact)
    moment = iso if exact else shown
    lines = [("id", str(job["id"])), ("task", name_of(job)), ("state", _state(job))]
    lines.append(("queue", str(job.get("queue"))))
    if job.get("priority"):
        lines.append(("priority", str(job["priority"])))
    lines += [(label, job[label]) for label in ("schedule", "key") if job.get(label)]
    if job.get("workflow"):
        lines.append(("workflow", f"{job['workflow']} (jobctl status {job['workflow']} shows it)"))
    lines += argument_lines(job)
    left_out = job.get("left_out") or []
    if left_out:
        lines.append(("left out", f"{', '.join(left_out)} (too long to be shown here)"))
    for name, value in (job.get("labels") or {}).items():
        lines.append(("label", f"{name}={value}"))
    for label, name in (
        ("submitted", "submitted_at"),
        ("eta", "eta"),
        ("expires", "expires_at"),
        ("deadline", "deadline_at"),
        ("started", "started_at"),
        ("finished", "finished_at"),
    ):
        if job.get(name) is not None:
            lines.append((label, moment(job[name])))
    if job.get("progress"):
        from jobctl.cli.bar import drawn

        lines.append(("progress", drawn(job["progress"])))
    attempts = job.get("attempts") or []
    for one in attempts:
        lines.append((f"attempt {one.get('number')}", _attempt(one, moment)))
    if job.get("state") == "SUCCESS" and job.get("result") is not None:
        lines.append(("result", _json(job["result"])))
    lines += _error(job.get("error"))
    if attempts:
        lines += _output(job["id"], attempts[-1], "output")
        lines += _output(job["id"], attempts[-1], "stderr")
    return lines


def name_of(job: dict[str, Any]) -> str:
    """What a person calls the job's work: its task, or the line of its ad-hoc command."""
    command = job.get("command")
    if job.get("task"):
        return str(job["task"])
    if "command" in (job.get("left_out") or ()):
        return "(a long command)"
    return " ".join(_quoted(word) for word in command) if command else "-"


def _quoted(word: str) -> str:
    plain = word and all(letter.isalnum() or letter in "@%+=:,./-_" for letter in word)
    return word if plain else "'" + word.replace("'", "'\"'\"'") + "'"


def _state(job: dict[str, Any]) -> str:
    reason = job.get("reason")
    return f"{job['state']} ({reason})" if reason else str(job["state"])


def argument_lines(job: dict[str, Any]) -> list[tuple[str, str]]:
    """Labels and texts of ``args`` and ``kwargs``: of a job, or of what makes jobs."""
    lines = [("args", _json(value)) for value in job.get("args") or ()]
    named = job.get("kwargs") or {}
    return lines + [("kwargs", f"{name}={_json(value)}") for name, value in named.items()]


def _attempt(one: dict[str, Any], moment: Callable[[int], str]) -> str:
    parts = [str(one.get("outcome") or "running")]
    if one.get("exit_code") is not None:
        parts.append(f"exit code {one['exit_code']}")
    if one.get("signal") is not None:
        parts.append(f"signal {one['signal']}")
    if one.get("started_at") is not None:
        parts.append(f"began {moment(one['started_at'])}")
    if one.get("duration_s") is not None:
        parts.append(f"took {span_shown(one['duration_s'])}")
    if one.get("peak_memory_bytes"):
        parts.append(f"{one['peak_memory_bytes'] / (1 << 20):.0f} MiB together")
    elif one.get("max_rss_bytes"):
        parts.append(f"{one['max_rss_bytes'] / (1 << 20):.0f} MiB")
    if str(one.get("proof") or "").startswith("unproved"):
        parts.append("its end is unproved")
    return ", ".join(parts)


def _error(error: Any) -> list[tuple[str, str]]:
    if not error:
        return []
    lines = error_lines(error)
    return [("error", line) for line in lines]


def error_lines(error: Any) -> list[str]:
    """A job's own error as lines: its kind and message, then its traceback if there is one."""
    if not isinstance(error, dict):
        return str(error).splitlines()
    traceback = str(error.get("traceback") or "").rstrip("\n")
    first = ": ".join(str(error[name]) for name in ("type", "message") if error.get(name))
    if not traceback:
        return first.splitlines()
    # A traceback of Python ends with the kind and the message; saying them twice helps nobody.
    lines = traceback.splitlines()
    return lines if lines[-1] == first else [*first.splitlines(), *lines]


def _output(job_id: int, last: dict[str, Any], stream: str) -> list[tuple[str, str]]:
    """The end of ``"output"``, or of ``"stderr"`` where that was kept apart."""
    total = last.get(f"{stream}_bytes") or 0
    tail = str(last.get(f"{stream}_tail") or "")
    text = tail.encode("latin-1", "replace").decode("utf-8", "backslashreplace")
    lines = text.removesuffix("\n").split("\n") if text else []
    if total and not tail:
        return [(stream, f"({total} bytes, which are not kept any more)")]
    if len(tail) < total or len(lines) > _TAIL_LINES:
        if len(tail) < total and len(lines) > 1:
            lines = lines[1:]  # it begins within a line
        all_of_it = f"jobctl logs {job_id}{' --stderr' if stream == 'stderr' else ''}"
        lines = [f"(the end of {total} bytes; all of it: {all_of_it})", *lines[-_TAIL_LINES:]]
    return [(stream, line) for line in lines]


def _json(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    from jobctl.protocol.compact import dumps

    return dumps(value)
