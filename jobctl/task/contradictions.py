"""Keys of a task that are right one by one and contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobctl.task.failures import codes_of
from jobctl.task.units import Fault, format_size, format_span
from jobctl.task.usual import Share
from jobctl.task.world import world_faults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobctl.task.keys import BoundKey

BODIES: Final = ("command", "shell", "function")
"""The keys of which a task has exactly one."""

RETRY_LISTS: Final = ("retry_on", "autoretry_for", "dont_autoretry_for")

LONGEST_RESULT_BYTES: Final = 16 << 20
"""As long as a request may be: a result goes to whoever waits in one piece."""


def faults_between(values: Mapping[str, object], keys: Mapping[str, BoundKey]) -> tuple[Fault, ...]:
    """Judge keys that were read against each other.

    ``values`` are by field, only those written; ``keys`` are all keys of a task, by name.
    """
    bodies = [body for body in BODIES if values.get(body) is not None]
    faults = []
    if not bodies:
        hint = 'Write command = ["program", "argument"], shell = "line" or function = "module:function".'
        faults.append(Fault(message="nothing to run: no command, shell or function", hint=hint))
    faults.extend(
        Fault(
            path=(body,),
            message=f"a task has one of {', '.join(BODIES)}, but {' and '.join(bodies)} are set",
            hint="Keep one of them.",
            on_key=True,
        )
        for body in bodies[1:]
    )
    if bodies:
        faults.extend(_faults_of_kind(values, keys, is_function=bodies == ["function"]))
    faults.extend(_faults_of_retries(values))
    faults.extend(_faults_of_times(values))
    faults.extend(_faults_of_result(values, keys))
    faults.extend(_faults_of_limits(values))
    faults.extend(burst_faults(values))
    faults.extend(world_faults(values))
    command = values.get("command")
    if isinstance(command, tuple) and command and not command[0].strip():
        faults.append(Fault(path=("command", 0), message="the program has no name"))
    if values.get("shell") is not None and not str(values["shell"]).strip():
        faults.append(Fault(path=("shell",), message="the shell line is empty"))
    return tuple(faults)


def burst_faults(values: Mapping[str, object]) -> list[Fault]:
    """Judge the keys of a rate against each other: of a task's table, or of a queue's."""
    if values.get("rate_burst") is None or values.get("rate_limit") is not None:
        return []
    message = "rate_burst belongs to a rate, but there is no rate_limit"
    hint = 'Write rate_limit = "10/s" too.'
    return [Fault(path=("rate_burst",), message=message, hint=hint, on_key=True)]


def _faults_of_limits(values: Mapping[str, object]) -> list[Fault]:
    per_key, limit = values.get("concurrency_per_key"), values.get("concurrency")
    if per_key is None:
        return []
    path = ("concurrency_per_key",)
    if values.get("concurrency_key") is None:
        message = "concurrency_per_key limits the jobs of a key, but there is no concurrency_key"
        hint = 'Write concurrency_key = "{customer}" too, or concurrency for all jobs of the task.'
        return [Fault(path=path, message=message, hint=hint, on_key=True)]
    if isinstance(per_key, int) and isinstance(limit, int) and per_key > limit:
        message = f"{per_key} jobs of one key never run at once: concurrency is {limit}"
        return [Fault(path=path, message=message, hint="Lower it, or raise concurrency.")]
    return []


def _faults_of_retries(values: Mapping[str, Any]) -> list[Fault]:
    written = [name for name in RETRY_LISTS if values.get(name)]
    faults = []
    if written and values.get("retries") is None:
        # A written 0 is no slip: it switches retries off for a while.
        message = f"{written[0]} says what is tried again, but there are no retries"
        hint = "Write retries = 3 too."
        faults.append(Fault(path=(written[0],), message=message, hint=hint, on_key=True))
    good = set(values.get("success_codes", (0,)))
    for code in sorted(good & codes_of(values.get("retry_on", ()))):
        message = f"the exit code {code} counts as success and is never tried again"
        hint = "Take it out, or write success_codes without it."
        faults.append(Fault(path=("retry_on",), message=message, hint=hint))
    for position, name in enumerate(values.get("dont_autoretry_for", ())):
        if name in values.get("autoretry_for", ()):
            message = f"{name} stands in autoretry_for too"
            path = ("dont_autoretry_for", position)
            faults.append(Fault(path=path, message=message, hint="Keep it in one of them."))
    return faults


def _faults_of_result(values: Mapping[str, Any], keys: Mapping[str, BoundKey]) -> list[Fault]:
    if values.get("ignore_result"):
        return [
            Fault(
                path=(name,),
                message=f"{name} limits what is stored, and ignore_result stores nothing",
                hint="Keep one of them.",
                on_key=True,
            )
            for name in ("max_result", "result_expires")
            if values.get(keys[name].field) is not None
        ]
    longest, path = values.get("max_result_bytes"), ("max_result",)
    if longest is not None and longest > LONGEST_RESULT_BYTES:
        message = f"no result may be longer than {format_size(LONGEST_RESULT_BYTES)}"
        return [Fault(path=path, message=message, hint="Write the data to a file.")]
    return []


def _faults_of_times(values: Mapping[str, Any]) -> list[Fault]:
    soft_s, hard_s = values.get("soft_timeout_s"), values.get("timeout_s")
    if soft_s is None and values.get("soft_signal") is not None:
        message = "soft_signal is sent at soft_timeout, but there is none"
        hint = 'Write soft_timeout = "10m" too.'
        return [Fault(path=("soft_signal",), message=message, hint=hint, on_key=True)]
    faults = _faults_of_deadline(values)
    if soft_s is None or hard_s is None or isinstance(hard_s, Share) or soft_s < hard_s:
        return faults
    message = f"it would never be told: timeout ends it after {format_span(hard_s)}"
    hint = "Make it shorter than timeout."
    return [*faults, Fault(path=("soft_timeout",), message=message, hint=hint)]


def _faults_of_deadline(values: Mapping[str, Any]) -> list[Fault]:
    """What would never happen, because the deadline comes before."""
    deadline_s = values.get("deadline_s")
    if deadline_s is None:
        return []
    return [
        Fault(
            path=(name,),
            message=f"it would never be reached: the deadline comes after {format_span(deadline_s)}",
            hint="Make it shorter than deadline, or leave it out.",
        )
        for name in ("timeout", "soft_timeout", "expires")
        if isinstance(span_s := values.get(f"{name}_s"), int | float) and span_s >= deadline_s
    ]


def _faults_of_kind(
    values: Mapping[str, object], keys: Mapping[str, BoundKey], *, is_function: bool
) -> list[Fault]:
    # An option that is not kept is refused, never ignored.
    faults = []
    for name, bound in keys.items():
        if bound.field not in values:
            continue
        if is_function and bound.key.commands_only:
            message = f"{name} belongs to commands, but this task calls a function"
            of_group = name in ("user", "cwd", "env")
            hint = "Set it on the worker group that serves its queue." if of_group else "Remove it."
        elif not is_function and bound.key.functions_only:
            message = f"{name} belongs to functions, but this task runs a command"
            hint = "For exit codes write retry_on." if name in RETRY_LISTS else "Remove it."
        else:
            continue
        faults.append(Fault(path=(name,), message=message, hint=hint, on_key=True))
    return faults
