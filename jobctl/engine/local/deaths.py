"""Deaths: how they are noticed, what becomes of what the dead held, and how they are buried.

The kernel announces a death through the pidfd. Then, and not at the end of the channel, everything has
been said: channel and records are read once more, the worker's parent is asked how it died, what it
left running is ended, and only then are its attempts settled. Its folder stays until the store has all
of it::

    pidfd → DYING → cause known → sweep → outcomes → acknowledged → folder and cgroup removed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.engine.base import Settled
from jobctl.engine.local import burial, cgroups
from jobctl.engine.local.sweep import Sweep
from jobctl.engine.local.worker import Phase
from jobctl.result import Verdict
from jobctl.worker.instance import noted_command, noted_end
from jobctl.worker.marks import TIMED_OUT, read_marks
from jobctl.worker.printed import read_last_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jobctl.engine.base import Adoptable, Attempt
    from jobctl.engine.local.house import House
    from jobctl.engine.local.template import Template
    from jobctl.engine.local.worker import Worker
    from jobctl.result import Outcome
    from jobctl.worker.marks import Mark

_CAUSE_WAIT_S = 0.5
"""How long a dead worker's parent may take to say how it died."""

_TIDY_S = 1.0


class Deaths:
    """See the module. ``on_buried`` is told of each worker that is gone for good."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.on_buried: Callable[[Worker], None] = lambda _worker: None

    # -- noticing ---------------------------------------------------------------------------------

    def notice(self, worker: Worker) -> None:
        """The kernel ended it: hear what it still said, and how it died. Safe to repeat."""
        if worker.phase is Phase.DYING:
            return
        if worker.link is not None:
            worker.link.read()
        worker.phase = Phase.DYING
        worker.close(self._house.poller)
        if worker.exit_code is None:
            worker.exit_code = noted_end(str(worker.directory))
        template = self._house.template_of(worker)
        if worker.exit_code is None and template is not None and template.link is not None:
            # Only its parent knows how it died, and says so at once.
            self._house.timers.after(_CAUSE_WAIT_S, lambda: self.begin_burial(worker))
            return
        self.begin_burial(worker)

    def learn_cause(self, instance: str, exit_code: int) -> None:
        """Its template says how it died (negative: a signal)."""
        worker = self._house.workers.get(instance)
        if worker is None:
            return
        worker.exit_code = exit_code
        if worker.phase is Phase.STARTING:
            self.notice(worker)
        elif worker.phase is Phase.DYING:
            self.begin_burial(worker)

    # -- settling ---------------------------------------------------------------------------------

    def begin_burial(self, worker: Worker) -> None:
        """End what it left of the attempts that it held, then settle them. Safe to repeat."""
        if worker.is_buried or self._house.workers.get(worker.instance) is not worker:
            return
        worker.is_buried = True
        self._emit_records(worker)
        held = self._held(worker)
        if not held or worker.is_from_earlier_boot:
            # What it left of attempts that have ended is left alone, and after a reboot nothing is.
            self._settle(worker, held, "boot")
            return
        tokens = [attempt.token for attempt in held]
        sweep = Sweep(
            directory=worker.directory,
            kind=worker.kind,
            cgroup=worker.cgroup,
            tokens=tokens,
            limiting=cgroups.of_attempts(worker.corners, worker.instance, tokens),
        )
        self._go_on_sweeping(worker, sweep)

    def _go_on_sweeping(self, worker: Worker, sweep: Sweep) -> None:
        wait_s = sweep.step()
        if wait_s is None:
            self._emit_records(worker)
            self._settle(worker, self._held(worker), sweep.proof)
        else:
            self._house.timers.after(wait_s, lambda: self._go_on_sweeping(worker, sweep))

    def _held(self, worker: Worker) -> list[Attempt | Adoptable]:
        return [a for a in worker.attempts.values() if not self._house.outbox.has(a.token)]

    def _emit_records(self, worker: Worker) -> None:
        outbox = self._house.outbox
        outcomes_dir = worker.directory.parent / "outcomes"
        records = [outbox.read_record(outcomes_dir, a.token) for a in self._held(worker)]
        outbox.emit(Settled(worker.instance, (), [r for r in records if r is not None]))

    def _settle(self, worker: Worker, held: Sequence[Attempt | Adoptable], proof: str) -> None:
        outcomes = self._judge(worker, held, proof) if held else []
        self._house.outbox.emit(Settled(worker.instance, (), outcomes))
        if not worker.attempts:
            self.bury(worker)

    def _judge(
        self, worker: Worker, held: Sequence[Attempt | Adoptable], proof: str
    ) -> list[Outcome]:
        now = self._house.clock.now()
        if worker.is_from_earlier_boot:
            # Marks and notes need not have reached the disk: everything that was claimed is lost.
            cause = "the computer was restarted"
            return [burial.lost(a, now, proof="boot", cause=cause) for a in held]
        if worker.is_nameless:
            # Nothing here tells that they had not begun: a power cut takes what was not flushed.
            cause = "its worker is dead, and nothing of what it had noted is left"
            return [burial.lost(a, now, proof=proof, cause=cause) for a in held]
        if worker.kind == "function":
            try:
                marks = read_marks(str(worker.directory))
            except OSError as error:
                cause = f"its worker died, and its marks cannot be read: {error.strerror}"
                return [burial.lost(a, now, proof=proof, cause=cause) for a in held]
            outcomes = burial.settle_function(
                held,
                marks,
                exit_code=worker.exit_code,
                verdicts={token: Verdict(asked) for token, asked in worker.stopping.items()},
                proof=proof,
                now=now,
                cause=self._why_ended(worker, marks.values()),
                last_words=read_last_words(str(worker.directory)),
            )
        else:
            noted = self._noted_token(worker)
            outcomes = [
                burial.settle_command(
                    attempt,
                    was_begun=noted is None or noted == attempt.token,
                    exit_code=worker.exit_code,
                    verdict=Verdict(worker.stopping.get(attempt.token, Verdict.LOST.value)),
                    proof=proof,
                    now=now,
                )
                for attempt in held
            ]
        return self._name_memory(worker, outcomes)

    @staticmethod
    def _why_ended(worker: Worker, marks: Iterable[Mark]) -> str:
        """Why a worker was ended by this daemon or its template; empty when it was not, or had died before."""
        if worker.exit_code not in (None, -9):
            return ""
        if worker.unreachable:
            return f"its worker could not be reached any more and was ended: {worker.unreachable}"
        overdue = (mark.job_id for mark in marks if mark.how == TIMED_OUT)
        job = next(overdue, worker.ended_for)
        if job is None or not worker.is_concurrent:
            return ""
        return f"its worker was ended because another job in it, {job}, could not be stopped alone"

    @staticmethod
    def _noted_token(worker: Worker) -> int | None:
        """The attempt that a keeper noted last; None when that cannot be known."""
        try:
            _, token, _ = noted_command(str(worker.directory))
        except OSError:
            return None
        return token

    @staticmethod
    def _name_memory(worker: Worker, outcomes: list[Outcome]) -> list[Outcome]:
        if worker.exit_code == -9 and worker.has_lacked_memory:
            return [burial.out_of_memory(outcome) for outcome in outcomes]
        return outcomes

    # -- burying ----------------------------------------------------------------------------------

    def bury(self, worker: Worker) -> None:
        """Nothing of it is needed any more: its folder and cgroup go."""
        self._house.workers.pop(worker.instance, None)
        worker.close(self._house.poller)
        self._house.trash.put(worker.directory)
        if worker.cgroup:
            cgroups.remove(worker.cgroup)
        self._house.cgroups.remove_attempts(worker.instance, worker.corners)
        template = self._house.template_of(worker)
        if template is not None and template.is_dead:
            self.clear(template)
        self.on_buried(worker)

    def clear(self, template: Template) -> None:
        """Remove the folder of a dead template when no child and no outcome is left in it."""
        house = self._house
        if house.children_of(template):
            return
        if house.outbox.needs(template.outcomes_dir):
            house.timers.after(_TIDY_S, lambda: self.clear(template))
            return
        house.trash.put(template.directory)
        house.templates.pop(template.instance, None)
