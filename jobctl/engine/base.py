"""What an engine promises.

An engine takes claimed attempts and gives back outcomes, both plain values. It never meets the store:
the dispatcher claims before it hands an attempt over, and acknowledges after it has committed an
outcome. Between these two an engine never loses an outcome and never runs an attempt twice:

* `Engine.start` may be called only for attempts whose claim is durable.
* Every attempt that was started ends in exactly one event that the engine repeats after a restart of
  the daemon until it is acknowledged.
* An attempt is reported lost only when it is proved that nothing of it runs any more, or when the
  outcome says that this could not be proved.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from jobctl.result import Outcome, Verdict
from jobctl.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jobctl.clock import Moment


class Attempt(NamedTuple):
    """A claimed attempt on its way to a worker. A tuple, because one is made for every job.

    Attributes:
        token: random, unique to this attempt.
        payload: JSON text ``{"args": […], "kwargs": {…}}`` for a function.
        order: what a keeper is told, for a command; None for a function.
        timeout_s: limit from the begin of the work; None: none.
        soft_timeout_s: when a function is told to come to an end, likewise; a command's order says it.
        may_share: it may wait behind others in a batch. False for attempts with limits of their own.
    """

    token: int
    job_id: int
    number: int
    task: str | None
    claimed_at: Moment
    payload: str = "{}"
    order: Mapping[str, Any] | None = None
    timeout_s: float | None = None
    soft_timeout_s: float | None = None
    stop: Sequence[tuple[int, float]] = ()
    may_share: bool = True


class Done(NamedTuple):
    """A function that returned: the compact form of an outcome, for the hot path.

    ``number``, ``claimed_at`` and ``task`` are those of its attempt, which the engine has held since the claim.
    """

    token: int
    job_id: int
    started_at: Moment
    finished_at: Moment
    result: str
    number: int
    claimed_at: Moment
    task: str | None = None

    def outcome(self) -> Outcome:
        """The same as an outcome like any other."""
        return Outcome(
            token=self.token,
            job_id=self.job_id,
            verdict=Verdict.SUCCESS,
            started_at=self.started_at,
            finished_at=self.finished_at,
            result=self.result,
        )


@dataclass(frozen=True, slots=True)
class Settled:
    """Attempts of one worker that ended. Repeated until acknowledged."""

    worker: str
    done: Sequence[Done] = ()
    outcomes: Sequence[Outcome] = ()


@dataclass(frozen=True, slots=True)
class Slot:
    """Room at one worker: it takes up to ``room`` attempts of ``kind`` (``"command"`` or
    ``"function"``) from the queues that its group serves. ``is_shared``: it makes them side by side, so
    none waits behind another and those with a limit of their own need not come alone."""

    worker: str
    kind: str
    group: str
    room: int
    is_shared: bool = False


@dataclass(kw_only=True, slots=True)
class Adoptable:
    """A running attempt of the store, offered to an engine at start."""

    token: int
    job_id: int
    number: int
    task: str | None
    claimed_at: Moment
    timeout_s: float | None = None
    stop: Sequence[tuple[int, float]] = field(default_factory=tuple)


class Poller(Protocol):
    """The loop's side of waiting: calls back when a descriptor is ready."""

    def watch(self, fd: int, callback: Callable[[], None], *, write: bool = False) -> None:
        """Call back whenever ``fd`` can be read (or written); repeat to change the wish."""
        ...

    def unwatch(self, fd: int) -> None:
        """Stop calling back for ``fd``; harmless when it is not watched."""
        ...


class Engine(Protocol):
    """The promise; see the module."""

    def adopt(self, running: Mapping[str, Sequence[Adoptable]]) -> None:
        """Take over what the store knows to be running, by worker. Once, before anything else."""
        ...

    def slots(self) -> list[Slot]:
        """Where there is room now."""
        ...

    def want(self, kind: str, group: str) -> None:
        """Jobs of this kind wait for this group and found no slot: make room if that is allowed."""
        ...

    def start(self, worker: str, attempts: Sequence[Attempt]) -> None:
        """Hand attempts over whose claims are durable."""
        ...

    def collect(self) -> list[Settled]:
        """What ended since the last call."""
        ...

    def acknowledge(self, settled: Settled) -> None:
        """The outcomes are durable in the store; the engine may forget them."""
        ...

    def flush(self) -> None:
        """All of a turn's acknowledgements and starts have been given: nothing may wait for more."""
        ...

    def stop(self, worker: str, token: int, verdict: str, *, signal: int | None = None) -> None:
        """Stop a running attempt by its stop sequence; its outcome will carry ``verdict``.

        Repeating it changes nothing, unless with a ``signal``: that takes the place of the first one of the
        sequence, which begins anew. Functions are ended without one.
        """
        ...

    def step(self, monotonic: float) -> float | None:
        """Do what is due; gives back the next deadline on the monotonic clock, or None."""
        ...
