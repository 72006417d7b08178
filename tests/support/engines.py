"""A fake engine, and drivers that put an engine through the contract suite."""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jobctl.clock import SystemClock
from jobctl.daemon.groups import keeper_recipe
from jobctl.dispatcher.orders import account_of, clean_environment
from jobctl.engine.base import Adoptable, Attempt, Done, Engine, Settled, Slot
from jobctl.engine.local.cgroups import Cgroups
from jobctl.engine.local.engine import Group, LocalEngine
from jobctl.engine.local.template import Recipe
from jobctl.result import Outcome, Verdict
from tests.support.configurations import CODE
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Turns:
    """A loop that a test turns by hand. Keeps `jobctl.engine.base.Poller`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}

    def watch(self, fd: int, callback: Callable[[], None], *, write: bool = False) -> None:
        """Call back whenever ``fd`` can be read, or written."""
        events = select.EPOLLIN | (select.EPOLLOUT if write else 0)
        if fd in self._callbacks:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def unwatch(self, fd: int) -> None:
        """Stop calling back for ``fd``."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def turn(self, limit_s: float) -> None:
        """Wait for something, and call back."""
        for fd, _ in self._epoll.poll(limit_s):
            callback = self._callbacks.get(fd)
            if callback is not None:
                callback()

    def close(self) -> None:
        """Let go of the descriptor."""
        self._epoll.close()


class FakeEngine:
    """An engine that plays: what it is given runs in no process and ends when a test says so.

    Commands say what they do by their last argument: ``exit N`` ends at the next step, ``hold`` ends
    with `let_go`. Functions return at the next step. What was not acknowledged is handed on to the next
    engine by ``left``, as records and living workers are.
    """

    def __init__(self, left: FakeEngine | None = None) -> None:
        self._workers = {"keeper-1": "command", "keeper-2": "command", "worker-1": "function"}
        self._running: dict[str, dict[int, Attempt]] = dict(left._running) if left else {}
        self._unacknowledged: dict[int, Settled] = dict(left._unacknowledged) if left else {}
        self._events: list[Settled] = []

    def adopt(self, running: Mapping[str, Sequence[Adoptable]]) -> None:
        """Repeat what was not acknowledged, keep what runs, release what nobody has."""
        self._events.extend(self._unacknowledged.values())
        for worker, attempts in running.items():
            for attempt in attempts:
                is_known = attempt.token in self._running.get(worker, {})
                if not is_known and attempt.token not in self._unacknowledged:
                    self._end(worker, attempt, Verdict.RELEASED)

    def slots(self) -> list[Slot]:
        """Workers that hold nothing."""
        return [
            Slot(worker, kind, "default", 1 if kind == "command" else 10)
            for worker, kind in self._workers.items()
            if not self._running.get(worker)
        ]

    def want(self, kind: str, group: str) -> None:
        """There are never more workers."""

    def start(self, worker: str, attempts: Sequence[Attempt]) -> None:
        """Take attempts; a worker that is not there gives them back."""
        for attempt in attempts:
            if worker not in self._workers:
                self._end(worker, attempt, Verdict.RELEASED)
            else:
                self._running.setdefault(worker, {})[attempt.token] = attempt

    def collect(self) -> list[Settled]:
        """What ended since the last call."""
        events, self._events = self._events, []
        return events

    def acknowledge(self, settled: Settled) -> None:
        """Forget these outcomes."""
        for token in (
            *(r.token for r in settled.done),
            *(o.token for o in settled.outcomes),
        ):
            self._unacknowledged.pop(token, None)

    def flush(self) -> None:
        """Nothing waits here."""

    def stop(self, worker: str, token: int, verdict: str, *, signal: int | None = None) -> None:
        """End a running attempt with this verdict."""
        attempt = self._running.get(worker, {}).pop(token, None)
        if attempt is not None:
            self._end(worker, attempt, Verdict(verdict), proof="process")

    def step(self, monotonic: float) -> float | None:
        """Play on."""
        for worker, attempts in self._running.items():
            for attempt in list(attempts.values()):
                self._play(worker, attempt)
        return None

    def _play(self, worker: str, attempt: Attempt) -> None:
        if attempt.order is None:
            (number,) = json.loads(attempt.payload)["args"]
            del self._running[worker][attempt.token]
            row = Done(
                token=attempt.token,
                job_id=attempt.job_id,
                started_at=1,
                finished_at=2,
                result=json.dumps(2 * number),
                number=attempt.number,
                claimed_at=attempt.claimed_at,
            )
            self._report(attempt.token, Settled(worker, [row], ()))
            return
        word, _, code = attempt.order["argv"][-1].partition(" ")
        if word == "exit":
            del self._running[worker][attempt.token]
            verdict = Verdict.SUCCESS if code == "0" else Verdict.FAILURE
            self._end(worker, attempt, verdict, exit_code=int(code))

    def let_go(self) -> None:
        """Everything that holds ends well."""
        for worker, attempts in self._running.items():
            for attempt in list(attempts.values()):
                del attempts[attempt.token]
                self._end(worker, attempt, Verdict.SUCCESS, exit_code=0)

    def _end(
        self,
        worker: str,
        attempt: Attempt | Adoptable,
        verdict: Verdict,
        *,
        exit_code: int | None = None,
        proof: str = "",
    ) -> None:
        outcome = Outcome(
            token=attempt.token,
            job_id=attempt.job_id,
            verdict=verdict,
            finished_at=2,
            exit_code=exit_code,
            proof=proof,
        )
        self._report(attempt.token, Settled(worker, (), [outcome]))

    def _report(self, token: int, settled: Settled) -> None:
        self._unacknowledged[token] = settled
        self._events.append(settled)


class Driver(Protocol):
    """What the contract suite needs of an engine's surroundings."""

    engine: Engine

    def begin(self) -> None:
        """Make the engine ready."""

    def end(self) -> None:
        """Take everything down."""

    def restart(self, running: Mapping[str, Sequence[Attempt]]) -> None:
        """The daemon is killed; the next one's engine adopts what the store says is running."""

    def turn(self, limit_s: float) -> None:
        """Let the engine do what is due and take what comes."""

    def let_go(self) -> None:
        """Let commands that hold end."""

    def command(self, what: str) -> Attempt:
        """An attempt of a command that does ``exit N`` or ``hold``."""

    def function(self, task: str, *args: object) -> Attempt:
        """An attempt of a function."""

    def slots(self, kind: str) -> list[Slot]:
        """Wait for slots of a kind."""

    def start(self, attempt: Attempt) -> str:
        """Hand an attempt to a free slot; the worker."""

    def has_begun(self, attempt: Attempt) -> bool:
        """A command that holds is running."""

    def start_and_begin(self, attempt: Attempt) -> str:
        """Hand over a command that holds, and wait until it runs; the worker."""

    def acknowledge(self, settled: Settled) -> None:
        """The outcomes are stored."""

    def until_settled(self, *tokens: int) -> list[Settled]:
        """Wait until these attempts are reported; the events."""

    def quiet(self) -> list[Settled]:
        """What is reported although nothing should be."""


class _Base:
    """What both drivers do alike."""

    engine: Engine

    def __init__(self) -> None:
        self._rng = random.Random(1)
        self._job = 0
        self._seen: list[Settled] = []
        self._clock = SystemClock()

    def turn(self, limit_s: float) -> None:
        self.engine.step(self._clock.monotonic())

    def _attempt(self) -> Attempt:
        self._job += 1
        return Attempt(
            token=self._rng.getrandbits(62),
            job_id=self._job,
            number=1,
            task=None,
            claimed_at=self._clock.now(),
        )

    def function(self, task: str, *args: object) -> Attempt:
        payload = json.dumps({"args": list(args), "kwargs": {}})
        return self._attempt()._replace(task=task, payload=payload)

    def slots(self, kind: str) -> list[Slot]:
        end = time.monotonic() + 20 * PATIENCE
        while time.monotonic() < end:
            found = [slot for slot in self.engine.slots() if slot.kind == kind]
            if found:
                return found
            self.turn(0.5)
        raise AssertionError(f"no slot for a {kind}")

    def start(self, attempt: Attempt) -> str:
        slot = self.slots("command" if attempt.order is not None else "function")[0]
        self.engine.start(slot.worker, [attempt])
        self.engine.flush()
        return slot.worker

    def has_begun(self, attempt: Attempt) -> bool:
        return True

    def start_and_begin(self, attempt: Attempt) -> str:
        worker = self.start(attempt)
        end = time.monotonic() + 20 * PATIENCE
        while not self.has_begun(attempt):
            assert time.monotonic() < end, "the command does not begin"
            self.turn(0.02)
        return worker

    def acknowledge(self, settled: Settled) -> None:
        self.engine.acknowledge(settled)
        self.engine.flush()

    def until_settled(self, *tokens: int) -> list[Settled]:
        missing, events = set(tokens), []
        end = time.monotonic() + 20 * PATIENCE
        while missing and time.monotonic() < end:
            self.turn(0.5)
            for event in self.engine.collect():
                events.append(event)
                self._seen.append(event)
                missing -= {row.token for row in event.done}
                missing -= {outcome.token for outcome in event.outcomes}
        assert not missing, f"not reported: {missing}"
        return events

    def quiet(self) -> list[Settled]:
        for _ in range(5):
            self.turn(0.05)
        events = self.engine.collect()
        self._seen.extend(events)
        return events


def _adoptable(running: Mapping[str, Sequence[Attempt]]) -> dict[str, list[Adoptable]]:
    return {
        worker: [
            Adoptable(
                token=a.token,
                job_id=a.job_id,
                number=a.number,
                task=a.task,
                claimed_at=a.claimed_at,
            )
            for a in attempts
        ]
        for worker, attempts in running.items()
    }


class FakeDriver(_Base):
    """The fake engine."""

    engine: FakeEngine

    def begin(self) -> None:
        self.engine = FakeEngine()

    def end(self) -> None:
        return

    def restart(self, running: Mapping[str, Sequence[Attempt]]) -> None:
        self.engine = FakeEngine(self.engine)
        self.engine.adopt(_adoptable(running))

    def let_go(self) -> None:
        self.engine.let_go()

    def command(self, what: str) -> Attempt:
        return self._attempt()._replace(order={"argv": [what]})


class LocalDriver(_Base):
    """The local engine on a loop of its own, without a daemon around it."""

    engine: LocalEngine

    def begin(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="jobctl-"))
        self._uid = os.geteuid()
        self._start_engine({})

    def _start_engine(self, running: Mapping[str, Sequence[Adoptable]]) -> None:
        self._loop = Turns()
        self.engine = LocalEngine(
            run_dir=self._folder / "run",
            poller=self._loop,
            clock=self._clock,
            corner=Cgroups(None),
            keeper_recipe=keeper_recipe(self._uid),
        )
        self.engine.adopt(running)
        self.engine.load([self._group()], lambda _reports, decide: decide(True))

    def _group(self) -> Group:
        recipe = Recipe(
            kind="function",
            group="default",
            python=sys.executable,
            cwd="/",
            env=clean_environment(account_of(self._uid)),
            spec={"path": [str(CODE)], "imports": [], "functions": {"double": "work:double"}},
        )
        return Group(
            name="default", processes=1, commands=2, max_tasks_per_child=1000, functions=recipe
        )

    def turn(self, limit_s: float) -> None:
        deadline = self.engine.step(self._clock.monotonic())
        now = self._clock.monotonic()
        self._loop.turn(min(limit_s, max((deadline or now + limit_s) - now, 0.0)))
        self.engine.step(self._clock.monotonic())

    def restart(self, running: Mapping[str, Sequence[Attempt]]) -> None:
        self._let_go_of_engine()
        self._start_engine(_adoptable(running))

    def _let_go_of_engine(self) -> None:
        self.engine.close()
        self._loop.close()

    def end(self) -> None:
        self.let_go()
        for event in self._seen:
            self.engine.acknowledge(event)
        self.engine.flush()
        self.engine.retire_all()
        end = time.monotonic() + 20 * PATIENCE
        while not self._is_gone() and time.monotonic() < end:
            self.turn(0.2)
            for event in self.engine.collect():
                self.acknowledge(event)
        is_gone = self._is_gone()
        self._let_go_of_engine()
        shutil.rmtree(self._folder)
        assert is_gone, "the engine has left processes"

    def _is_gone(self) -> bool:
        return self.engine.is_idle_gone and not self.engine.workers()

    def let_go(self) -> None:
        (self._folder / "go").touch()

    def _begun_file(self, attempt: Attempt) -> Path:
        return self._folder / f"begun-{attempt.job_id}"

    def has_begun(self, attempt: Attempt) -> bool:
        return self._begun_file(attempt).exists()

    def command(self, what: str) -> Attempt:
        attempt = self._attempt()
        script = what
        if what == "hold":
            script = (
                f": > {self._begun_file(attempt)}; "
                f"until [ -e {self._folder}/go ]; do sleep 0.01; done"
            )
        order = {
            "token": attempt.token,
            "job_id": attempt.job_id,
            "argv": ["/bin/sh", "-c", script],
            "env": {"PATH": "/usr/bin:/bin", "JOBCTL_ATTEMPT": f"{attempt.token:016x}"},
            "cwd": "/",
            "umask": 0o022,
            "uid": None,
            "gid": None,
            "groups": [],
            "stop": [[int(signal.SIGTERM), 5.0], [int(signal.SIGKILL), 1.0]],
            "success_codes": [0],
            "leftover": "leave",
            "output_path": str(self._folder / "output" / str(attempt.job_id)),
            "output_cap_bytes": 1 << 20,
            "timeout_s": None,
        }
        stop = ((int(signal.SIGTERM), 5.0), (int(signal.SIGKILL), 1.0))
        return attempt._replace(order=order, stop=stop)
