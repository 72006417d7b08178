"""Which job goes to which free slot, and what becomes of it when its attempt has ended.

The dispatcher is the only one that claims and settles. It works inside the turn's transaction and
gives back what must follow the commit: attempts to start, outcomes to acknowledge, jobs that ended.
Everything it remembers between turns is a hint (which lines may hold ready jobs); the truth is in the
store, so a turn that is rolled back needs no repair.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from jobctl.clock import earliest
from jobctl.dispatcher.allowances import Allowances
from jobctl.dispatcher.dependencies import Dependencies
from jobctl.dispatcher.ends import facts_of, follower_of, result_as_asked
from jobctl.dispatcher.gates import Gates
from jobctl.dispatcher.handing_on import hand_on
from jobctl.dispatcher.orders import (
    Orders,
    limit_of,
    ran_with,
    ran_with_limit,
    retry_rule,
    with_request,
)
from jobctl.dispatcher.placement import (
    Walk,
    gate_now,
    is_new,
    place_of,
    put_in_place,
    regate_running,
)
from jobctl.dispatcher.run_times import RunTimes
from jobctl.engine.base import Adoptable, Attempt, Engine, Settled, Slot
from jobctl.errors import InvalidArguments
from jobctl.job import Change, Reason
from jobctl.logs import fields, logger
from jobctl.protocol.compact import dumps
from jobctl.result import Outcome, Verdict
from jobctl.retry import decide
from jobctl.store import attempts as attempt_rows
from jobctl.store import jobs as job_rows
from jobctl.store import queues as queue_rows
from jobctl.store import rates as rate_rows
from jobctl.store import workflows as workflow_rows
from jobctl.store.jobs import (
    Claimed,
    Running,
    Standing,
    gate_of_line,
    is_ready_line,
    owner_of,
    ready_line,
)
from jobctl.task import Share
from jobctl.values import dataclass

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Protocol

    from jobctl.clock import Clock, Moment
    from jobctl.dispatcher.load import HostLoad
    from jobctl.engine.base import Done
    from jobctl.plan import Plan
    from jobctl.store.database import Database
    from jobctl.store.workflows import Step
    from jobctl.task import Task
    from jobctl.task.keys import Json

    class Workflows(Protocol):
        """What steps of workflows need of those who know how jobs are made; all of it in this transaction."""

        def replace(
            self, running: Running, outcome: Outcome, now: Moment
        ) -> tuple[Outcome, Standing | None]:
            """Make a job the work that its attempt asks for; where it stands then. None: it did not ask for
            that, or, as the outcome says, it cannot be done."""
            ...

        def fail(self, step: Step) -> None:
            """Make the jobs that a step wants when it fails. Never raises."""
            ...

    class Teller(Protocol):
        """Tells people: makes messages in the transaction of what they tell of. Never raises."""

        starts: frozenset[str]
        """The tasks of whose attempts it wants to hear the begin."""
        watched: frozenset[str]
        """The tasks of whose functions it wants to hear every end; of others it hears the failures."""

        def take(self, plan: Plan) -> None:
            """Go by this plan."""
            ...

        def begun(self, job: Claimed, now: Moment) -> None:
            """An attempt of one of `starts` was claimed."""
            ...

        def settled(
            self,
            running: Running,
            task: Task | None,
            change: Change,
            outcome: Outcome,
            now: Moment,
        ) -> None:
            """An attempt has ended, and this became of its job."""
            ...

    HandOver = Callable[[str, Mapping[str, Json]], None]
    """Makes a job of a task, in this transaction, with what is known of one that ended. Never raises."""

RIPEN_LIMIT = 1000
"""Jobs whose time has come, moved in one turn: more would hold the loop up."""

_LINES_OF_SLOT = {"function": "fl", "command": "c"}


class Stop(NamedTuple):
    """An attempt that is to be stopped. ``signal`` takes the place of the first one of its sequence."""

    worker: str
    token: int
    verdict: str
    signal: int | None = None


@dataclass
class Effects:
    """What follows a turn's commit. The last three are for whoever counts: ``(queue, moment, jobs)`` of each
    claim, batches of functions that returned, and ``(task, change, outcome)`` of every other attempt."""

    starts: list[tuple[str, list[Attempt]]] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    claims: list[tuple[str, Moment, Sequence[Claimed]]] = field(default_factory=list)
    done: list[Sequence[Done]] = field(default_factory=list)
    runs: list[tuple[str | None, Change, Outcome]] = field(default_factory=list)


class Dispatcher:
    """See the module."""

    def __init__(
        self,
        *,
        database: Database,
        engine: Engine,
        clock: Clock,
        rng: random.Random,
        orders: Orders,
        host: HostLoad,
        hand_over: HandOver | None = None,
        teller: Teller | None = None,
        workflows: Workflows | None = None,
    ) -> None:
        self._database = database
        self._engine = engine
        self._clock = clock
        self._rng = rng
        self._orders = orders
        self._hand_over = hand_over
        self._teller = teller
        self._workflows = workflows
        self._plan: Plan | None = None
        self._looked_after: frozenset[str] = frozenset()
        self._hot: set[str] = set()
        self._paused: set[str] = set()
        self._next_eta: Moment | None = None
        self._next_expiry: Moment | None = None
        self._next_deadline: Moment | None = None
        self._parked: set[str] = set()
        self._held_back: set[int] = set()
        self._looks_at_all_held_back = False
        self._walk: Walk | None = None
        self._has_more = False
        self._allowances = Allowances(database, host)
        self._gates = Gates(database)
        self._dependencies = Dependencies(database)
        self._run_times = RunTimes(database)
        self._has_keys = False
        self._is_draining = False
        self.effects = Effects()

    # -- at start ---------------------------------------------------------------------------------

    def recover(self) -> None:
        """Hand the engine what the store knows to be running, and look at every line."""
        running: dict[str, list[Adoptable]] = defaultdict(list)
        self._stop_again: list[tuple[str, int, str]] = []
        for row in job_rows.started(self._database):
            running[row.worker].append(
                Adoptable(
                    token=row.token,
                    job_id=row.id,
                    number=row.number,
                    task=row.task,
                    claimed_at=row.claimed_at,
                    # A keeper keeps its command's limit by itself.
                    timeout_s=limit_of(row.ran_with) if row.kind != "command" else None,
                )
            )
            if row.stop_asked is not None:
                self._stop_again.append((row.worker, row.token, row.stop_asked))
        self.refresh()
        self._engine.adopt(running)
        for worker, token, verdict in self._stop_again:
            self._engine.stop(worker, token, verdict)

    def refresh(self) -> None:
        """Forget all hints: look at every line and deadline again."""
        lines = job_rows.count_lines(self._database)
        self._hot = {line for line in lines if is_ready_line(line)}
        self._parked = {line for line in lines if line.startswith("task/")}
        # They are let go with the end of what they wait for; looked at once more all the same.
        self._held_back = {int(line[9:]) for line in lines if line.startswith("schedule/")}
        self._looks_at_all_held_back = bool(self._held_back)
        if "gate" in lines:
            self._gates.look_at_all()
        if job_rows.AFTER_LINE in lines:
            self._dependencies.look_at_all()
        if self._plan is not None and is_new(self._database, self._plan):
            # Slices of a transaction that was rolled back have not happened.
            self._walk = Walk(self._plan, self._hot)
        paused = queue_rows.all(self._database)
        self._paused = {name for name, moment in paused.items() if moment is not None}
        self._allowances.refresh()
        self._run_times.refresh()
        self._next_eta = job_rows.next_eta(self._database)
        self._next_expiry = job_rows.next_expiry(self._database)
        self._next_deadline = job_rows.next_deadline(self._database)

    def prepare(self, plan: Plan) -> Callable[[], None]:
        """Look at what a plan means for waiting jobs, inside a transaction; gives back what brings it into
        force here, to be called after the commit. Until then the old plan goes on."""
        wants_walk = is_new(self._database, plan)
        rate_rows.prune(self._database, now=self._clock.now())
        if wants_walk:
            regate_running(self._database, plan)

        def bring_into_force() -> None:
            self.go_by(plan)
            self._walk = Walk(plan, self._hot) if wants_walk else None
            self._has_keys = any(task.concurrency_key is not None for task in plan.tasks.values())
            if self._has_keys:
                # Their limits may be others now.
                self._gates.look_at_all()

        return bring_into_force

    def go_by(self, plan: Plan) -> None:
        """Answer questions by this plan; nothing is written, and no job is brought to another place."""
        self._plan = plan
        self._looked_after = frozenset(
            name
            for task in plan.tasks.values()
            if task.on_success
            or task.ignore_result
            or task.max_result_bytes is not None
            or isinstance(task.timeout_s, Share)
            for name in (task.name, *task.aliases)
        )
        if self._teller is not None:
            self._teller.take(plan)
        self._allowances.take(plan)
        # There may be room that was not there before, and nothing else calls a turn for it.
        self._has_more = bool(self._hot)

    def drain(self) -> None:
        """Claim nothing any more."""
        self._is_draining = True

    # -- what others tell -------------------------------------------------------------------------

    def note_ready(self, line: str) -> None:
        """A job stands in this line now."""
        if line.startswith("schedule/"):
            self._held_back.add(int(line[9:]))
        elif line.startswith("task/"):
            self._parked.add(line)
        elif (gate := gate_of_line(line)) is not None:
            self._gates.note(gate)
        elif line == job_rows.AFTER_LINE:
            self._dependencies.is_used = True
        elif line != job_rows.ETA_LINE:
            self._hot.add(line)

    def note_standing(self, job: Standing) -> None:
        """A job has come to its ready line by itself, in this transaction: put it where the plan wants it."""
        self._take_standing([job])

    def _take_standing(self, jobs: Sequence[Standing]) -> None:
        lines = {job.line for job in jobs}
        if self._plan is not None and jobs:
            lines = put_in_place(self._database, self._plan, jobs)
        for line in lines:
            self.note_ready(line)

    def note_let_go(self, jobs: Sequence[Standing], now: Moment) -> None:
        """Jobs wait for no other one any more, in this transaction: steps of workflows are given what they
        take."""
        handed = hand_on(self._database, jobs, now)
        self.effects.ended += handed.ended
        self._take_let_go(handed.standing)

    def _take_let_go(self, jobs: Sequence[Standing]) -> None:
        self._take_standing([job for job in jobs if job.line != job_rows.ETA_LINE])
        if any(job.line == job_rows.ETA_LINE for job in jobs):
            self._next_eta = job_rows.next_eta(self._database)

    def note_ended(self, job_ids: list[int]) -> None:
        """Jobs of which some have ended are waited for by a job that is new, in this transaction."""
        self._dependencies.is_used = True
        self._dependencies.note(job_ids)

    def note_eta(self, eta: Moment) -> None:
        """A job becomes ready at this moment."""
        if self._next_eta is None or eta < self._next_eta:
            self._next_eta = eta

    def note_expiry(self, expires_at: Moment) -> None:
        """A job expires at this moment."""
        if self._next_expiry is None or expires_at < self._next_expiry:
            self._next_expiry = expires_at

    def note_deadline(self, deadline_at: Moment) -> None:
        """A job that waits has this deadline."""
        if self._next_deadline is None or deadline_at < self._next_deadline:
            self._next_deadline = deadline_at

    def note_pause(self, queue: str, *, is_paused: bool) -> None:
        """A queue was paused or resumed."""
        if is_paused:
            self._paused.add(queue)
        else:
            self._paused.discard(queue)

    @property
    def paused(self) -> frozenset[str]:
        """The queues that are paused."""
        return frozenset(self._paused)

    # -- the turn ---------------------------------------------------------------------------------

    def next_due(self) -> Moment | None:
        """When `advance` has something to do, on the wall clock; None: nothing waits."""
        return earliest(self._next_eta, *self._latest(), self._allowances.next_at)

    def is_due(self, now: Moment) -> bool:
        """Some waiting job's time has come, its expiry or its deadline."""
        return any(m is not None and m <= now for m in (self._next_eta, *self._latest()))

    def _latest(self) -> tuple[Moment | None, Moment | None]:
        """When the next jobs end that wait, because it is too late for them."""
        return self._next_expiry, self._next_deadline

    def advance(self, now: Moment) -> None:
        """Move jobs whose time has come, end those for which it is too late."""
        if self._next_expiry is not None and self._next_expiry <= now:
            expired = job_rows.expire(self._database, now=now, limit=RIPEN_LIMIT)
            self.effects.ended.extend(expired)
            self._next_expiry = job_rows.next_expiry(self._database)
        if self._next_deadline is not None and self._next_deadline <= now:
            late = job_rows.pass_deadline(self._database, now=now, limit=RIPEN_LIMIT)
            self.effects.ended.extend(late)
            self._next_deadline = job_rows.next_deadline(self._database)
        if self._next_eta is not None and self._next_eta <= now:
            self._take_standing(job_rows.ripen(self._database, now=now, limit=RIPEN_LIMIT))
            self._next_eta = job_rows.next_eta(self._database)
        if self._parked and self._plan is not None:
            self._unpark(self._plan)
        if self._walk is not None:
            for line in self._walk.step(self._database):
                self.note_ready(line)
            if self._walk.is_over:
                self._walk = None
        self._follow_ends(now)

    def _follow_ends(self, now: Moment) -> None:
        """Let others go on that waited for jobs which have ended in this transaction."""
        self._dependencies.note(self.effects.ended)
        if self._dependencies.has_work:
            let_go, revoked = self._dependencies.step(now)
            self.effects.ended += revoked
            self._fail_steps(revoked)
            self._take_let_go(let_go)
        if self._held_back:
            self._let_go()
        if self._has_keys and self.effects.ended:
            self._gates.note_left(self.effects.ended)
        self._admit()

    def _admit(self) -> None:
        """Let the next ones in at gates that have room."""
        if self._plan is not None and self._gates.has_work:
            for line in self._gates.step(self._plan):
                self.note_ready(line)

    def _let_go(self) -> None:
        """Let jobs go that waited for the end of an earlier one of their schedule."""
        schedules: set[int | None] = {
            job_rows.schedule_of(self._database, job_id) for job_id in self.effects.ended
        }
        if self._looks_at_all_held_back:
            self._looks_at_all_held_back = False
            schedules.update(self._held_back)
        for schedule in self._held_back & schedules:
            assert schedule is not None
            gone = job_rows.let_go(self._database, schedule=schedule)
            if gone:
                self._held_back.discard(schedule)
                self._take_standing(gone)

    def _unpark(self, plan: Plan) -> None:
        for line in list(self._parked):
            name = line.removeprefix("task/")
            task = plan.find(name)
            if task is None or name in plan.unavailable:
                continue
            moved = job_rows.unpark(self._database, task=name, limit=RIPEN_LIMIT)
            self._take_standing(moved)
            if len(moved) < RIPEN_LIMIT:
                self._parked.discard(line)

    @property
    def has_chores(self) -> bool:
        """`advance` or `claim` has something to do at once: jobs to be put in other lines, or more of
        them than one turn takes."""
        plan = self._plan
        if self._walk is not None or self._has_more or self._looks_at_all_held_back:
            return True
        if plan is not None and (self._gates.has_work or self._dependencies.has_work):
            return True
        return plan is not None and any(
            plan.find(name) is not None and name not in plan.unavailable
            for name in (line.removeprefix("task/") for line in self._parked)
        )

    def wants_claims(self) -> bool:
        """There may be ready jobs, and whoever could take them may have room."""
        return bool(self._hot) and not self._is_draining and self._plan is not None

    def claim(self, now: Moment) -> None:
        """Give ready jobs to free slots."""
        self._has_more = False
        self._allowances.begin(now)
        # The beat has made jobs since `advance`.
        self._admit()
        if not self.wants_claims():
            return
        if any(moment is not None and moment <= now for moment in self._latest()):
            # It is too late for more than one turn ends; none of them may start.
            return
        if not self._open_lines():
            return
        ended = len(self.effects.ended)
        for slot in self._engine.slots():
            taken = self._claim_for(slot, now)
            if taken:
                self.effects.starts.append((slot.worker, taken))
        if len(self.effects.ended) > ended:
            # Some could not run: who waited for their end must not wait for another's.
            self._follow_ends(now)
            self._has_more = True

    def want(self) -> None:
        """Tell the engine for which groups jobs wait that found no slot.

        After the claimed attempts were handed over: before that, a worker that has just been claimed for
        still looks as if it had room.
        """
        if not self.wants_claims():
            return
        assert self._plan is not None
        wanted: set[tuple[str, str]] = set()
        for line in self._open_lines():
            kind, (queue, _) = ("command" if line[0] == "c" else "function"), owner_of(line)
            wanted.update((kind, group.name) for group in self._plan.groups_serving(queue))
        for kind, group_name in sorted(wanted):
            self._engine.want(kind, group_name)

    def _open_lines(self) -> list[str]:
        """The lines from which jobs may start, if there are any in them and somebody has room."""
        return [
            line
            for line in self._hot
            if owner_of(line)[0] not in self._paused and self._allowances.of(line) > 0
        ]

    def _claim_for(self, slot: Slot, now: Moment) -> list[Attempt]:
        """Claim up to the slot's room, from the line whose first job goes before the others'."""
        lines = [line for line in self._hot if self._serves(slot, line)]
        if not lines:
            return []
        line = lines[0] if len(lines) == 1 else self._first_line(lines)
        if line is None:
            return []
        allowance = self._allowances.of(line)
        is_alone = line[0] == "l" and not slot.is_shared
        limit = min(1 if is_alone else slot.room, allowance)
        claimed = job_rows.claim(
            self._database, line=line, instance=slot.worker, limit=limit, now=now
        )
        is_used_up = len(claimed) == allowance
        if len(claimed) < limit or (is_used_up and self._is_empty(line)):
            # Nobody is to be woken up for a line in which nobody waits.
            self._hot.discard(line)
        in_place = claimed if self._walk is None else self._those_in_place(claimed, line)
        prepared = self._prepare(in_place, slot, now)
        if prepared:
            is_whole = len(prepared) == len(in_place)
            begun = in_place if is_whole else _of(prepared, in_place)
            self.effects.claims.append((owner_of(line)[0], now, begun))
        self._allowances.note(line, len(prepared))
        if len(prepared) < len(claimed) or (prepared and slot.is_shared):
            # Some were put elsewhere, or it takes more than it was given, from this line or another: it has
            # room that nothing else will call a turn for.
            self._has_more = True
        return prepared

    def _is_empty(self, line: str) -> bool:
        return job_rows.head(self._database, line=line) is None

    def _those_in_place(self, claimed: Sequence[Claimed], line: str) -> list[Claimed]:
        """The claimed jobs that belong where they were claimed; the others are brought to their place.

        While the walk through the lines is on, some stand where the plan before wanted them, and no limit of
        this one would hold for them.
        """
        assert self._plan is not None
        kept = []
        for job in claimed:
            released = None
            gate = job_rows.gate(self._database, job.id)
            standing = Standing(
                job.id, job.kind, line, job.task, job.queue, job.overrides, gate, job.priority
            )
            place = place_of(self._plan, standing, gate_now(self._database, self._plan, standing))
            if (place.line, place.gate) != (line, gate):
                released = job_rows.release(self._database, id=job.id, token=job.token)
            if released is None:
                kept.append(job)
            else:
                self._take_standing([released])
        return kept

    def _serves(self, slot: Slot, line: str) -> bool:
        """The slot takes jobs of this line now."""
        assert self._plan is not None
        queue, _ = owner_of(line)
        if line[0] not in _LINES_OF_SLOT[slot.kind] or queue in self._paused:
            return False
        if not any(group.name == slot.group for group in self._plan.groups_serving(queue)):
            return False
        return self._allowances.of(line) > 0

    def holds_back(self, line: str) -> str | None:
        """Why no job of a ready line starts now, for people; None when only a free worker is missing."""
        queue, _ = owner_of(line)
        if queue in self._paused:
            return f'queue "{queue}" is paused'
        if self._plan is None:
            return None
        if not self._plan.groups_serving(queue):
            return f'no worker group serves queue "{queue}"'
        return self._allowances.why_not(line, self._clock.now())

    def _first_line(self, lines: Iterable[str]) -> str | None:
        """The line whose first job has the highest priority, then the lowest id."""
        best: tuple[tuple[int, int], str] | None = None
        for line in lines:
            head = job_rows.head(self._database, line=line)
            if head is None:
                self._hot.discard(line)
            elif best is None or head < best[0]:
                best = (head, line)
        return best[1] if best else None

    def _prepare(self, claimed: Sequence[Claimed], slot: Slot, now: Moment) -> list[Attempt]:
        """Turn claimed jobs into attempts; those that cannot run are put where they belong."""
        plan = self._plan
        assert plan is not None
        prepared: list[Attempt] = []
        orders: list[tuple[str, int]] = []
        # Task, queue and kind of functions whose attempts follow from their rows alone, and the task's name.
        plain: dict[tuple[str | None, str, str], str | None] = {}
        for job in claimed:
            is_bare = job.overrides is None and job.deadline_at is None
            name = plain.get((job.task, job.queue, job.kind)) if is_bare else None
            if name is not None:
                prepared.append(
                    Attempt(job.token, job.id, job.number, name, job.started_at, job.payload)
                )
                continue
            task: Task | None = None
            if job.task is not None:
                task = plan.find(job.task)
                if task is None or task.name in plan.unavailable:
                    job_rows.park(self._database, id=job.id, token=job.token)
                    self._parked.add(job_rows.parked_line(job.task))
                    continue
            try:
                is_paced = self._allowances.is_paced(job.queue, task)
                limit_s = self._run_times.limit_s(task) if task is not None else None
                attempt = self._orders.attempt_of(job, task, limit_s=limit_s, is_paced=is_paced)
                if task is not None and task.name in plan.bound:
                    row = job_rows.get(self._database, job.id, longest_bytes=0)
                    attempt = with_request(attempt, job, task, row or {})
            except InvalidArguments as error:
                self._refuse(job, slot.worker, error, now)
                continue
            if not attempt.may_share and prepared and not slot.is_shared:
                # Its task got a limit after it was submitted: it stands in a line of its own now.
                own = task.name if task is not None and task.has_own_line else None
                apart = ready_line("limited", job.queue, own)
                job_rows.set_apart(self._database, id=job.id, token=job.token, line=apart)
                self._hot.add(apart)
                continue
            if attempt.order is not None:
                orders.append((ran_with(attempt.order), job.id))
            elif attempt.timeout_s is not None:
                orders.append((ran_with_limit(attempt.timeout_s), job.id))
            elif is_bare and attempt.may_share and attempt.payload is job.payload:
                plain[job.task, job.queue, job.kind] = attempt.task
            prepared.append(attempt)
        if self._teller is not None and self._teller.starts:
            self._tell_begins(prepared, claimed, now)
        if orders:
            job_rows.note_order(self._database, orders)
        return prepared

    def _tell_begins(
        self, prepared: Sequence[Attempt], claimed: Sequence[Claimed], now: Moment
    ) -> None:
        assert self._teller is not None
        begun = {attempt.token for attempt in prepared}
        for job in claimed:
            if job.task in self._teller.starts and job.token in begun:
                self._teller.begun(job, now)
                # Nothing else calls a turn for what was just made.
                self._has_more = True

    def _refuse(self, job: Claimed, worker: str, error: InvalidArguments, now: Moment) -> None:
        """The plan has changed under a waiting job: it cannot run, and its attempt says why."""
        described = {"type": "InvalidArguments", "message": error.message, "traceback": ""}
        outcome = Outcome(
            token=job.token,
            job_id=job.id,
            verdict=Verdict.FAILURE,
            finished_at=now,
            error=dumps(described),
        )
        self._settle_one(worker, outcome, now)

    # -- outcomes ---------------------------------------------------------------------------------

    def settle(self, events: Sequence[Settled], now: Moment) -> None:
        """Write what ended."""
        for event in events:
            if event.done:
                self._settle_done(event, now)
            for outcome in event.outcomes:
                self._settle_one(event.worker, outcome, now)
            self.effects.settled.append(event)

    def _settle_done(self, event: Settled, now: Moment) -> None:
        """Functions that returned: two statements for all of them."""
        done = event.done
        looked_after = self._looked_after
        if self._teller is not None and self._teller.watched:
            looked_after |= self._teller.watched
        if looked_after:
            for row in done:
                if row.task in looked_after:
                    self._settle_one(event.worker, row.outcome(), now)
            done = [row for row in done if row.task not in looked_after]
        ends = [(row.finished_at, row.job_id, row.token) for row in done]
        if not job_rows.succeed(self._database, ends):
            # One of them is stale, which is rare: each for itself.
            for row in done:
                self._settle_one(event.worker, row.outcome(), now)
            return
        worker = event.worker
        attempt_rows.add_done(self._database, done, worker=worker)
        if done:
            self.effects.done.append(done)
        self.effects.ended.extend(row.job_id for row in done)

    def _settle_one(self, worker: str, outcome: Outcome, now: Moment) -> None:
        running = job_rows.running(self._database, id=outcome.job_id, token=outcome.token)
        if running is None:
            self._settle_late(outcome)
            return
        if outcome.verdict is Verdict.RELEASED:
            self._release(running)
            return
        task = self._plan.find(running.task) if self._plan and running.task else None
        if task is not None and outcome.result is not None:
            outcome = result_as_asked(
                outcome,
                task,
                is_taken=lambda: workflow_rows.is_taken(self._database, running.id),
            )
        replacement = None
        if outcome.retry is not None and running.stop_asked is None and self._workflows is not None:
            outcome, replacement = self._workflows.replace(running, outcome, now)
        attempt_rows.add(
            self._database,
            [
                attempt_rows.row_of(
                    self._orders.with_left_output(outcome, running.number),
                    number=running.number,
                    worker=worker or running.worker,
                    claimed_at=running.claimed_at,
                    ran_with=running.ran_with,
                )
            ],
        )
        if replacement is not None:
            self._take_replacement(running, replacement)
            return
        if task is not None and isinstance(task.timeout_s, Share):
            self._note_run_time(task, outcome)
        self._follow(running, task, outcome, now)

    def _take_replacement(self, running: Running, job: Standing) -> None:
        """A job waits again, with other work, and for others perhaps."""
        if job.line == job_rows.AFTER_LINE:
            self._dependencies.is_used = True
        elif job.line == job_rows.ETA_LINE:
            self._next_eta = job_rows.next_eta(self._database)
        else:
            self._take_standing([job])
        if running.deadline_at is not None:
            self.note_deadline(running.deadline_at)
        if running.gate is not None:
            self._gates.note(running.gate)

    def _note_run_time(self, task: Task, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.SUCCESS and outcome.started_at is not None:
            self._run_times.note(task, outcome.finished_at - outcome.started_at)

    def _follow(self, running: Running, task: Task | None, outcome: Outcome, now: Moment) -> None:
        """Change the job's state as its task's rule says."""
        rule = retry_rule(task, running.overrides)
        failed = outcome.verdict in (Verdict.FAILURE, Verdict.TIMEOUT)
        failures = running.failures + failed
        losses = running.losses + (outcome.verdict is Verdict.LOST)
        verdict = outcome.verdict
        if running.stop_asked == Verdict.CANCELLED and verdict is not Verdict.SUCCESS:
            # It ended in another way before the stop reached it; it is not tried again.
            verdict = Verdict.CANCELLED
        decision = decide(
            verdict,
            rule,
            failures=failures,
            losses=losses,
            rng=self._rng,
            outcome=outcome,
            now=now,
            deadline_at=running.deadline_at,
        )
        reason = decision.reason.value if decision.reason else ""
        self.effects.runs.append((running.task, decision.change, outcome))
        match decision.change:
            case Change.SUCCEED:
                job_rows.succeed(self._database, [(outcome.finished_at, running.id, running.token)])
                self.effects.ended.append(running.id)
            case Change.FAIL:
                job_rows.fail(
                    self._database,
                    id=running.id,
                    token=running.token,
                    failures=failures,
                    losses=losses,
                    reason=reason,
                    now=outcome.finished_at,
                )
                self.effects.ended.append(running.id)
                self._fail_steps([running.id])
            case Change.TRY_AGAIN:
                eta = now + int(decision.delay_s * 1_000_000)
                job_rows.try_again(
                    self._database,
                    id=running.id,
                    token=running.token,
                    failures=failures,
                    losses=losses,
                    reason=reason,
                    eta=eta,
                )
                self.note_eta(eta)
                if running.deadline_at is not None:
                    self.note_deadline(running.deadline_at)
                if running.gate is not None:
                    self._gates.note(running.gate)
            case Change.REVOKE:
                job_rows.revoke_started(
                    self._database,
                    id=running.id,
                    token=running.token,
                    reason=reason or Reason.CANCELLED.value,
                    now=outcome.finished_at,
                )
                self.effects.ended.append(running.id)
            case Change.RELEASE:
                self._release(running)
            case Change.CLAIM | Change.RENEW:
                raise AssertionError(f"no outcome leads to {decision.change}")
        if task is not None and self._hand_over is not None:
            name = follower_of(task, decision.change)
            if name is not None:
                self._hand_over(name, facts_of(running, decision.change, outcome))
        if self._teller is not None:
            self._teller.settled(running, task, decision.change, outcome, now)

    def _fail_steps(self, job_ids: Sequence[int]) -> None:
        """Let the jobs be made that steps want when they fail."""
        if self._workflows is None or not job_ids:
            return
        for step in workflow_rows.steps_of(self._database, job_ids).values():
            if step.on_error is not None:
                self._workflows.fail(step)

    def _release(self, running: Running) -> None:
        if running.stop_asked == Verdict.CANCELLED:
            job_rows.revoke_started(
                self._database,
                id=running.id,
                token=running.token,
                reason=Reason.CANCELLED.value,
                now=self._clock.now(),
            )
            self.effects.ended.append(running.id)
            return
        job = job_rows.release(self._database, id=running.id, token=running.token)
        if job is not None:
            self._take_standing([job])
            if running.deadline_at is not None:
                # It waits again: while it ran, nobody waited for this moment.
                self.note_deadline(running.deadline_at)
            self._next_expiry = job_rows.next_expiry(self._database)

    def _settle_late(self, outcome: Outcome) -> None:
        """The token is not the current one: a repetition is ignored, anything else kept and refused."""
        if outcome.verdict is Verdict.RELEASED:
            return
        found = attempt_rows.find_token(self._database, job_id=outcome.job_id, token=outcome.token)
        if found is not None and found[1] == outcome.verdict.value:
            return
        late = outcome.to_json()
        late.pop("output", None)
        late.pop("stderr", None)
        kept = found is not None and attempt_rows.add_late(
            self._database, job_id=outcome.job_id, token=outcome.token, late=dumps(late)
        )
        logger.warning(
            "an outcome came too late and was refused",
            extra=fields(job=outcome.job_id, verdict=outcome.verdict.value, kept=kept),
        )

    # -- requests ---------------------------------------------------------------------------------

    def cancel(self, job_id: int, now: Moment, *, signal: int | None = None) -> str:
        """End a job: ``"ended"`` at once, ``"stopping"`` when an attempt must be stopped first,
        ``"final"`` when it had ended before. ``signal``: as in `Stop`."""
        if job_rows.revoke_waiting(
            self._database, id=job_id, reason=Reason.CANCELLED.value, now=now
        ):
            self.effects.ended.append(job_id)
            return "ended"
        asked = job_rows.ask_stop(self._database, id=job_id, reason=Verdict.CANCELLED.value)
        if asked is None:
            return "final"
        token, worker = asked
        self.effects.stops.append(Stop(worker, token, Verdict.CANCELLED.value, signal))
        return "stopping"

    def cancel_many(self, job_ids: Sequence[int], now: Moment) -> list[int]:
        """End jobs, as `cancel` does each; those whose attempts must be stopped first."""
        reason = Reason.CANCELLED.value
        ended = job_rows.revoke_many(self._database, ids=job_ids, reason=reason, now=now)
        self.effects.ended += ended
        left = set(job_ids).difference(ended)
        return [job_id for job_id in sorted(left) if self.cancel(job_id, now) == "stopping"]

    def purge(self, job_ids: Iterable[int], now: Moment) -> int:
        """End those of these jobs that wait; how many they were."""
        ended = [
            job_id
            for job_id in job_ids
            if job_rows.revoke_waiting(
                self._database, id=job_id, reason=Reason.PURGED.value, now=now
            )
        ]
        self.effects.ended += ended
        return len(ended)

    def take_effects(self) -> Effects:
        """What must follow the commit; empties it."""
        effects, self.effects = self.effects, Effects()
        return effects


def _of(prepared: Sequence[Attempt], claimed: Sequence[Claimed]) -> Sequence[Claimed]:
    """Those of the claimed jobs that became attempts."""
    kept = {attempt.token for attempt in prepared}
    return [job for job in claimed if job.token in kept]
