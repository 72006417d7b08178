"""The JSON shapes of the command line, stable from the first release (DESIGN section 10).

The daemon sends moments as integers; a shape has ISO 8601 text with an offset. Each function takes an
answer of the daemon and gives the document that ``--json`` prints; keys that a shape does not name are
left out, keys that the daemon did not send are null. `jobctl/cli/schemas/` describes every shape.
"""

from __future__ import annotations

from jobctl.cli.times import iso, iso_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_JOB = (
    "id",
    "task",
    "state",
    "reason",
    "queue",
    "priority",
    "args",
    "kwargs",
    "labels",
    "submitted_at",
    "eta",
    "expires_at",
    "deadline_at",
    "started_at",
    "finished_at",
    "result",
    "error",
    "progress",
    "paused",
    "command",
    "schedule",
    "workflow",
    "left_out",
)
_STAND = ("id", "task", "state", "reason", "submitted_at", "started_at", "finished_at")
_JOB_MOMENTS = ("submitted_at", "eta", "expires_at", "deadline_at", "started_at", "finished_at")
_ATTEMPT = (
    "number",
    "outcome",
    "exit_code",
    "signal",
    "started_at",
    "finished_at",
    "duration_s",
    "error",
    "output_bytes",
    "stderr_bytes",
    "user_s",
    "system_s",
    "max_rss_bytes",
    "peak_memory_bytes",
)
_FIRE = ("schedule", "task", "at", "fate", "job_id", "reason", "last", "count")
_WHY_RULE = ("kind", "expression", "timezone", "begins_at", "ends_at")
_WHY_JOB = (
    "id",
    "state",
    "reason",
    "attempts",
    "exit_code",
    "signal",
    "said",
    "started_at",
    "finished_at",
)
_SCHEDULE = (
    "name",
    "task",
    "kind",
    "expression",
    "normal",
    "timezone",
    "enabled",
    "state",
    "paused_until",
    "next",
    "last",
    "source",
)


def submitted(job: dict[str, Any]) -> dict[str, Any]:
    """``submit``: ``id``, ``state``, ``duplicate``, ``reason`` (why it is one, where the task says so)."""
    return _pick(job, ("id", "state", "duplicate", "reason"))


def job(data: dict[str, Any]) -> dict[str, Any]:
    """A job as ``list`` shows it: without its attempts. ``left_out`` names the keys that would be too long."""
    shape = _pick(data, _JOB)
    for name in _JOB_MOMENTS:
        shape[name] = iso_or_none(shape[name])
    if shape["progress"] is not None:
        shape["progress"] = {**shape["progress"], "at": iso_or_none(shape["progress"]["at"])}
    # Empty is empty, whether the daemon leaves it out or not.
    shape["args"] = shape["args"] or []
    shape["kwargs"] = shape["kwargs"] or {}
    shape["labels"] = shape["labels"] or {}
    shape["left_out"] = shape["left_out"] or []
    return shape


def job_whole(data: dict[str, Any]) -> dict[str, Any]:
    """A job as ``status`` shows it: with ``attempts``, the oldest first; or a workflow."""
    if "shape" in data:
        return workflow(data)
    waits = [_pick(one, ("id", "until", "status")) for one in data.get("after") or ()]
    attempts = [attempt(one) for one in data.get("attempts") or ()]
    return {**job(data), "after": waits, "attempts": attempts}


def workflow(data: dict[str, Any]) -> dict[str, Any]:
    """A workflow: ``id state submitted_at shape jobs``. ``shape`` says how the jobs belong together: a job is its
    id, ``["chain", …]``, ``["group", …]``, ``["chord", header, body]``, ``["link", first, …]``."""
    jobs = [_pick(one, _STAND) for one in data["jobs"]]
    for one in jobs:
        for name in ("submitted_at", "started_at", "finished_at"):
            one[name] = iso_or_none(one[name])
    shape = _pick(data, ("id", "state", "submitted_at", "shape"))
    return {**shape, "submitted_at": iso_or_none(shape["submitted_at"]), "jobs": jobs}


def attempt(data: dict[str, Any]) -> dict[str, Any]:
    """One attempt of a job."""
    shape = _pick(data, _ATTEMPT)
    shape["started_at"] = iso_or_none(shape["started_at"])
    shape["finished_at"] = iso_or_none(shape["finished_at"])
    return shape


def output(job: int, parts: Iterable[dict[str, Any]], final: dict[str, Any]) -> dict[str, Any]:
    """``logs``: ``id``, ``attempt``, ``bytes``, ``stderr_bytes``, ``state``, ``output``, ``stderr``.

    The texts hold what is no UTF-8 as ``\\xff``. ``stderr`` and its bytes are null where standard error
    was not kept apart.
    """
    found = {"stdout": b"", "stderr": b""}
    for stream in found:
        data = [part["data"] for part in parts if part.get("stream", "stdout") == stream]
        found[stream] = "".join(data).encode("latin-1")
    texts = {name: data.decode("utf-8", "backslashreplace") for name, data in found.items()}
    return {
        "id": job,
        **_pick(final, ("attempt", "bytes", "stderr_bytes", "state")),
        "output": texts["stdout"],
        "stderr": texts["stderr"] if final.get("stderr_bytes") is not None else None,
    }


def waited(data: dict[str, Any]) -> dict[str, Any]:
    """``wait``: ``jobs`` (``id state reason exit_code signal verdict``) and ``timed_out``."""
    names = ("id", "state", "reason", "exit_code", "signal", "verdict")
    return {
        "jobs": [_pick(one, names) for one in data["jobs"]],
        "timed_out": bool(data.get("timed_out")),
    }


def result(data: dict[str, Any]) -> dict[str, Any]:
    """``result``: ``id``, ``state``, ``result``, ``error``."""
    return _pick(data, ("id", "state", "result", "error"))


def cancelled(data: dict[str, Any]) -> dict[str, Any]:
    """``cancel``: ``id``, ``state``, ``gone``, ``remaining`` (a list of pids, usually empty)."""
    shape = _pick(data, ("id", "state", "gone", "remaining"))
    shape["remaining"] = shape["remaining"] or []
    return shape


def paused(data: dict[str, Any]) -> dict[str, Any]:
    """``pause`` and ``resume``: ``id``, ``state``, ``paused``."""
    return _pick(data, ("id", "state", "paused"))


def retried(data: dict[str, Any]) -> dict[str, Any]:
    """``retry``: ``id``, ``state``, ``dependents`` (ids, usually none)."""
    shape = _pick(data, ("id", "state", "dependents"))
    shape["dependents"] = shape["dependents"] or []
    return shape


def agenda(fires: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """``next``: ``fires`` with ``schedule``, ``task``, ``at``, by time."""
    return {"fires": [{**_pick(fire, _FIRE[:2]), "at": iso_or_none(fire["at"])} for fire in fires]}


def history(fires: Iterable[dict[str, Any]], following: str | None) -> dict[str, Any]:
    """``history``: ``fires``, newest first, and ``next``, the cursor of the next page or null; a range of
    instants with one fate has ``last`` and ``count``."""
    return {"fires": [_fire(data) for data in fires], "next": following}


def _fire(data: dict[str, Any]) -> dict[str, Any]:
    shape = _pick(data, _FIRE)
    shape["at"] = iso_or_none(shape["at"])
    shape["last"] = iso_or_none(shape["last"])
    return shape


def why(answer: dict[str, Any]) -> dict[str, Any]:
    """``why``: ``name``, ``fires`` (the keys of ``history``, and ``is_exact next rule job earlier_job
    sentences``), ``job`` (null, or how a job stands), ``sentences``: all of them in order."""
    return {
        "name": answer["name"],
        "fires": [_why_fire(data) for data in answer["fires"]],
        "job": _why_job(answer.get("job")),
        "sentences": list(answer["sentences"]),
    }


def _why_fire(data: dict[str, Any]) -> dict[str, Any]:
    rule = data.get("rule")
    return {
        **_fire(data),
        "is_exact": data.get("is_exact"),
        "next": iso_or_none(data.get("next")),
        "rule": None if rule is None else with_times(_pick(rule, _WHY_RULE)),
        "job": _why_job(data.get("job")),
        "earlier_job": _why_job(data.get("earlier_job")),
        "sentences": list(data["sentences"]),
    }


def _why_job(data: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if data is None else with_times(_pick(data, _WHY_JOB))


def audit(answer: dict[str, Any]) -> dict[str, Any]:
    """``schedule audit``: ``ok``, ``schedules``, ``rows``, ``instants``, ``violations`` (``schedule wrong
    first last count detail``), ``count``, ``unjudged`` (``schedule rule why``)."""
    names = ("schedule", "wrong", "first", "last", "count", "detail")
    return {
        "ok": answer["count"] == 0,
        **_pick(answer, ("schedules", "rows", "instants")),
        "violations": [
            {**_pick(one, names), "first": iso(one["first"]), "last": iso(one["last"])}
            for one in answer["violations"]
        ],
        "count": answer["count"],
        "unjudged": [_pick(one, ("schedule", "rule", "why")) for one in answer["unjudged"]],
    }


def schedules(data: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """``schedule list``: ``schedules``; ``next`` is a moment, ``last`` a fire; both may be null."""
    return {"schedules": [_schedule(one) for one in data]}


def _schedule(data: dict[str, Any]) -> dict[str, Any]:
    shape = _pick(data, _SCHEDULE)
    shape["next"] = iso_or_none(shape["next"])
    shape["paused_until"] = iso_or_none(shape["paused_until"])
    shape["last"] = None if shape["last"] is None else _fire(shape["last"])
    return shape


_SCHEDULE_WHOLE = (
    "name",
    "task",
    "kind",
    "expression",
    "normal",
    "words",
    "timezone",
    "dialect",
    "state",
    "reason",
    "paused_at",
    "paused_until",
    "source",
    "stored",
    "set_by",
    "set_at",
    "args",
    "kwargs",
    "start_at",
    "end_at",
    "jitter_s",
    "expires_s",
    "on_overlap",
    "on_missed",
    "missed_within_s",
    "missed_limit",
    "max_runs",
    "runs",
    "next",
    "fires",
    "lints",
)
_SCHEDULE_MOMENTS = ("paused_at", "paused_until", "set_at", "start_at", "end_at")


def schedule_whole(data: dict[str, Any]) -> dict[str, Any]:
    """``schedule show``: everything about one; ``next`` are moments, ``fires`` the newest first."""
    shape = _pick(data, _SCHEDULE_WHOLE)
    for name in _SCHEDULE_MOMENTS:
        shape[name] = iso_or_none(shape[name])
    shape["next"] = [iso(moment) for moment in shape["next"] or ()]
    shape["fires"] = [_fire(fire) for fire in shape["fires"] or ()]
    shape["lints"] = [_pick(lint, ("code", "message")) for lint in shape["lints"] or ()]
    return shape


def schedule_added(answer: dict[str, Any]) -> dict[str, Any]:
    """``schedule add``: ``schedule`` as `schedule_whole`; ``duplicate``: it was there already."""
    return {
        "schedule": schedule_whole(answer["schedule"]),
        "duplicate": bool(answer.get("duplicate")),
    }


def schedule_edited(answer: dict[str, Any]) -> dict[str, Any]:
    """``schedule edit``: ``schedule`` as `schedule_whole`; ``changes``, texts."""
    return {
        "schedule": schedule_whole(answer["schedule"]),
        "changes": list(answer.get("changes") or ()),
    }


def schedules_removed(answers: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """``schedule remove``: ``schedules`` with ``name``, ``task`` (null if it was gone already)."""
    return {"schedules": [_pick(answer, ("name", "task")) for answer in answers]}


def schedules_switched(answers: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """``schedule disable`` and ``enable``: ``schedules`` with ``name state paused_until next``."""
    found = []
    for answer in answers:
        shape = _pick(answer, ("name", "state", "paused_until", "next"))
        shape["paused_until"] = iso_or_none(shape["paused_until"])
        shape["next"] = iso_or_none(shape["next"])
        found.append(shape)
    return {"schedules": found}


def with_times(value: Any) -> Any:
    """Any other answer: the same, with ISO 8601 under every key that names a moment (``…_at``, ``eta``)."""
    if isinstance(value, list):
        return [with_times(member) for member in value]
    if not isinstance(value, dict):
        return value
    return {
        name: iso(member) if _is_moment(name) and type(member) is int else with_times(member)
        for name, member in value.items()
    }


def _is_moment(name: str) -> bool:
    return name.endswith("_at") or name == "eta"


def _pick(data: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: data.get(name) for name in names}
