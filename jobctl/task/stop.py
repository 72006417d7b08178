"""The sequence that ends an attempt: ``"TERM,30s,KILL"``.

Signals and waits, in this order, to the whole tree of processes; whoever is left at its end was sent
KILL. Only the text and its steps live here; sending them is the worker's business.
"""

from __future__ import annotations

import signal
from itertools import pairwise
from typing import Final, TypeAlias

from jobctl.task.units import Fault, InvalidValue, format_span, parse_span, shown
from jobctl.values import dataclass

STOP_HINT: Final = 'Write signals and waits, ending with KILL: "TERM,30s,KILL".'
# These would leave a process stopped, or waiting for one that is, where the sequence promises an end.
_HOLDING: Final = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})


@dataclass(frozen=True)
class Send:
    """Send a signal to every process of the attempt."""

    signal: signal.Signals


@dataclass(frozen=True)
class Wait:
    """Wait this long, or until no process of the attempt is left."""

    span_s: float


StopStep: TypeAlias = Send | Wait

DEFAULT_STOP: Final[tuple[StopStep, ...]] = (
    Send(signal.SIGTERM),
    Wait(30.0),
    Send(signal.SIGKILL),
)


def parse_stop(value: object) -> tuple[StopStep, ...]:
    """Read a stop sequence; gives its steps, at least one, the last one ``Send(SIGKILL)``.

    Signals are named with or without SIG, in any case. Raises `InvalidValue` with every fault.
    """
    if not isinstance(value, str):
        raise InvalidValue(f"{shown(value)} is not a stop sequence", hint=STOP_HINT)
    steps: list[StopStep] = []
    faults: list[Fault] = []
    for word in (part.strip() for part in value.split(",")):
        try:
            steps.append(_step(word))
        except InvalidValue as invalid:
            faults.extend(invalid.faults)
    if not faults:
        faults.extend(_misfits(steps))
    if faults:
        raise InvalidValue(faults=tuple(faults))
    return tuple(steps)


def parse_signal(value: object, *, may_kill: bool = False) -> signal.Signals:
    """Read the name of a signal, as in a stop sequence; KILL only if it ``may_kill``. Raises `InvalidValue`."""
    hint = 'Name a signal: "TERM", "USR1".'
    if not isinstance(value, str) or value[:1].isdigit():
        raise InvalidValue(f"{shown(value)} is not the name of a signal", hint=hint)
    step = _step(value.strip(), hint)
    assert isinstance(step, Send)
    if step.signal is signal.SIGKILL and not may_kill:
        raise InvalidValue("no program notices KILL", hint=hint)
    return step.signal


def format_signal(number: signal.Signals) -> str:
    """Give the name of a signal as `parse_signal` reads it."""
    return number.name.removeprefix("SIG")


def format_stop(steps: tuple[StopStep, ...]) -> str:
    """Give the text of a sequence, as `parse_stop` reads it."""
    return ",".join(
        step.signal.name.removeprefix("SIG") if isinstance(step, Send) else format_span(step.span_s)
        for step in steps
    )


def _step(word: str, hint: str = STOP_HINT) -> StopStep:
    if word[:1].isdigit():
        return Wait(parse_span(word))
    name = word.upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    if name not in signal.Signals.__members__:
        raise InvalidValue(f"there is no signal {shown(word)}", hint=hint)
    number = signal.Signals[name]
    if number in _HOLDING:
        raise InvalidValue(f"{name} holds a process instead of ending it", hint=hint)
    return Send(number)


def _misfits(steps: list[StopStep]) -> list[Fault]:
    faults = []
    if isinstance(steps[0], Wait):
        faults.append(Fault(message="a stop sequence begins with a signal", hint=STOP_HINT))
    if steps[-1] != Send(signal.SIGKILL):
        # "Cancel means gone": a program may refuse any other signal for ever.
        faults.append(Fault(message="a stop sequence ends with KILL", hint=STOP_HINT))
    if any(isinstance(a, Wait) and isinstance(b, Wait) for a, b in pairwise(steps)):
        faults.append(Fault(message="two waits follow each other", hint="Write one longer wait."))
    return faults
