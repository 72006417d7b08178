"""One durable step for everything that a turn has taken, and what happens when it is refused.

Everything of a turn that writes goes into *one* transaction; what follows (acknowledgements, starts,
answers) follows its commit. When that transaction fails, nothing of it has happened: it is played again
piece by piece, so that one request, one outcome or one part of ours cannot spoil the others.

A store in trouble (full, read-only, damaged, gone) is said once, loudly. Until it takes writes again
nothing is claimed and no instant is served; requests that write are refused, others are answered;
outcomes wait with their workers and are offered again every `RETRY_S`. Nobody has to do anything but to
mend the disk.

Two kinds of trouble have more to them. On a *full* disk the reserve (`jobctl.daemon.ballast`) is released:
what runs ends and is recorded, and nothing new is taken until there is room for the reserve again. A
*damaged* store heals by no retry: nothing is written any more, so that nothing is acknowledged on top of the
damage and file and log stay as they were found, until a backup is restored (`jobctl db restore`). What can
still be read is answered; what runs goes on, and its outcomes wait on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobctl.clock import earliest
from jobctl.errors import JobctlError, StorageError
from jobctl.logs import fields, logger
from jobctl.protocol.requests import Cancel
from jobctl.store.database import (
    CHECKPOINT_BYTES,
    Refused,
    is_damage,
    is_full,
    is_trouble,
    storage_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobctl.clock import Moment
    from jobctl.daemon.ballast import Ballast
    from jobctl.daemon.retention import Retention
    from jobctl.daemon.server import Call
    from jobctl.daemon.station import Station
    from jobctl.dispatcher.dispatcher import Effects
    from jobctl.engine.base import Settled

    Work = Callable[[], list[Callable[[], None]]]

RETRY_S: Final = 1.0
"""How long the daemon waits before it tries a refused store again."""

_PAGE_BYTES: Final = 4096
_CHECKPOINT_COMMITS: Final = 200
_CHECKPOINT_PAGES: Final = CHECKPOINT_BYTES // _PAGE_BYTES
"""Whichever comes first: writing back what a few large turns have left would hold the loop for long."""


class Storing:
    """See the module.

    ``handle`` runs a request's handler inside the transaction and gives back how to answer after the
    commit; ``follow`` does what a commit allows.
    """

    def __init__(
        self,
        *,
        station: Station,
        retention: Retention,
        handle: Callable[[Call], Callable[[], None]],
        follow: Callable[[Effects], None],
        ballast: Ballast,
    ) -> None:
        self._station = station
        self._retention = retention
        self._handle = handle
        self._follow = follow
        self._ballast = ballast
        self.is_damaged = False
        """Nothing is written any more."""
        self._heal_at: float | None = None
        self.along: Callable[[], None] | None = None
        """What the step of the request in hand does besides."""
        self._waiting: list[Settled] = []
        self._impossible: list[Settled] = []
        self._refusal: StorageError | None = None
        self._retry_at: float | None = None
        self._is_stale = False
        self._commits_since_checkpoint = 0

    # -- when ---------------------------------------------------------------------------------------

    @property
    def has_waiting(self) -> bool:
        """Outcomes wait for the store. For a damaged one nobody waits: they are on disk."""
        return bool(self._waiting) and not self.is_damaged

    @property
    def is_held(self) -> bool:
        """The store is refused: nothing of our own is done, however long it has been due."""
        return self._retry_at is not None or self._heal_at is not None or self.is_damaged

    @property
    def trouble(self) -> str | None:
        """What is wrong with the store; None: it takes writes."""
        return self._refusal.message if self.is_held and self._refusal is not None else None

    def deadline(self) -> float | None:
        """When a refused store is tried again, on the monotonic clock; None: it is not."""
        if self._retry_at is self._heal_at is None or self.is_damaged:
            return None
        return earliest(self._retry_at, self._heal_at)

    def offer(self, events: Sequence[Settled], monotonic: float) -> Sequence[Settled]:
        """What this turn settles: what has ended, and what was refused before if its time has come."""
        if self.is_damaged:
            self._waiting.extend(events)
            return []
        if self._heal_at is not None and monotonic >= self._heal_at:
            self._heal(monotonic)
        if self._retry_at is not None and monotonic >= self._retry_at:
            self._retry_at = None
        if self._retry_at is not None:
            self._waiting.extend(events)
            return []
        if not self._waiting:
            return events
        waiting, self._waiting = self._waiting, []
        return [*waiting, *events]

    def wants_turn(self, now: Moment, monotonic: float) -> bool:
        """Something of our own is due."""
        # Not `is_held`: this is asked each turn.
        if self._retry_at is not None or self._heal_at is not None or self.is_damaged:
            return False
        station = self._station
        return (
            self._is_stale
            or station.dispatcher.is_due(now)
            or station.beat.is_due(now)
            or station.notifications.is_due(now)
            or station.dispatcher.has_chores
            or station.dispatcher.wants_claims()
            or self._retention.is_due(monotonic)
        )

    # -- the step -----------------------------------------------------------------------------------

    def step(self, calls: Sequence[Call], events: Sequence[Settled], now: Moment) -> None:
        """One transaction for everything; or, if that fails, one for each piece. Raises nothing."""
        if self._refusal is not None:
            calls = self._refuse_new(calls)
            if self.is_damaged:
                return
        try:
            answers = self._transact(lambda: self._all(calls, events, now))
        except StorageError as error:
            self._note_refusal(error)
        except Exception:  # noqa: BLE001 -- the piece that fails is found, named and left out below
            logger.debug("a turn failed and is played again piece by piece", exc_info=True)
        else:
            self._note_health()
            self._conclude(answers)
            return
        self._piece_by_piece(calls, events, now)

    def _all(
        self, calls: Sequence[Call], events: Sequence[Settled], now: Moment
    ) -> list[Callable[[], None]]:
        station = self._station
        if self._retry_at is not None or (self._heal_at is not None and not events):
            return [self._handle(call) for call in calls]
        if self._is_stale:
            self._forget()
        station.dispatcher.settle(events, now)
        answers = [self._handle(call) for call in calls]
        if self._heal_at is None:
            for chore in self._chores(now):
                chore()
        return answers

    def _chores(self, now: Moment) -> tuple[Callable[[], None], ...]:
        """Our own work, in the order of the path of a job."""
        station = self._station
        return (
            lambda: station.dispatcher.advance(now),
            lambda: station.beat.step(now),
            lambda: station.notifications.step(now),
            lambda: self._retention.step(now, station.clock.monotonic()),
            # Not the turn's moment: a job of this very turn was submitted after that.
            lambda: station.dispatcher.claim(station.clock.now()),
        )

    def _forget(self) -> None:
        """What was remembered of a transaction that did not happen is read again."""
        self._station.dispatcher.refresh()
        self._station.beat.recover()
        self._station.notifications.recover()
        self._retention.recover()
        self._is_stale = False

    def commit(self, work: Work) -> None:
        """Do work in a transaction, and what follows after the commit.

        Raises:
            StorageError: refused; nothing of it has happened. Whatever ``work`` raises: likewise.
        """
        self._conclude(self._transact(work))

    def change(self, work: Work) -> None:
        """Do the work of one request in a step of its own, and what follows after the commit.

        Raises:
            StorageError: refused; nothing of it has happened. Whatever ``work`` raises: likewise.
        """

        if self._heal_at is not None and self._refusal is not None:
            raise self._refusal

        def begin() -> list[Callable[[], None]]:
            if self._is_stale and self._retry_at is None:
                self._forget()
            answers = work()
            along, self.along = self.along, None
            if along is not None:
                along()
            return answers

        try:
            answers = self._transact(begin)
        except StorageError as error:
            self._note_refusal(error)
            raise
        self._note_health()
        self._conclude(answers)

    def _transact(self, work: Work) -> list[Callable[[], None]]:
        """Up to the commit: whatever is raised here means that nothing has happened."""
        station = self._station
        database = station.database
        database.begin()
        try:
            answers = work()
            before = station.clock.monotonic()
            database.commit()
        except Refused as error:
            self._abandon()
            raise storage_error(error) from error
        except BaseException:
            self._abandon()
            raise
        station.counters.note_commit(station.clock.monotonic() - before)
        return answers

    def _conclude(self, answers: list[Callable[[], None]]) -> None:
        """From the commit on: it has happened, and must not be played again whatever is raised here."""
        self._follow(self._station.dispatcher.take_effects())
        for answer in answers:
            answer()
        self._care_for_log()

    def _abandon(self) -> None:
        self._station.database.rollback()
        self._station.dispatcher.take_effects()
        self._station.beat.take_fates()
        self._is_stale = True

    # -- refused ------------------------------------------------------------------------------------

    def _note_refusal(self, error: StorageError) -> None:
        """Say it once for each kind of trouble, not once for each client that tries."""
        if self.is_damaged:
            return
        if is_trouble(error):
            if self._refusal is None or self._refusal.message != error.message:
                logger.error(error.message, extra=fields(hint=error.hint))
            self._refusal = error
            self._retry_at = self._station.clock.monotonic() + RETRY_S
        if is_damage(error):
            self._latch(error)
        elif is_full(error) and self._ballast.release():
            logger.warning("the reserve is released for what runs; nothing new is taken meanwhile")
            self._heal_at, self._retry_at = self._retry_at, None

    def _latch(self, error: StorageError) -> None:
        database = self._station.database
        if database.damage is None:
            told = StorageError(
                f"{error.message}; nothing is written any more",
                hint="Stop the daemon, then put a backup in the store's place: jobctl db restore FILE.",
            )
            told.__cause__ = error.__cause__
            logger.critical(told.message, extra=fields(hint=told.hint))
            self._refusal = database.damage = told
            self.is_damaged = True

    def note_read(self, error: StorageError) -> None:
        """What was read could not be: damage is no less damage for being found by a reader."""
        if is_damage(error):
            self._latch(error)

    def _refuse_new(self, calls: Sequence[Call]) -> Sequence[Call]:
        """Refuse what would take room that is not there; gives back the rest."""
        assert self._refusal is not None
        if not self.is_damaged and self._heal_at is None:
            return calls
        kept = []
        for call in calls:
            if self.is_damaged or type(call.request) is not Cancel:
                call.refuse(self._refusal)
            else:
                kept.append(call)
        return kept

    def _heal(self, monotonic: float) -> None:
        """Take the reserve again; go on as before when there is room for it."""
        if self._ballast.take():
            self._heal_at = None
            self._is_stale = True
            if self._retry_at is None:
                self._note_health()
        else:
            self._heal_at = monotonic + RETRY_S

    def _note_health(self) -> None:
        if self._refusal is not None and self._retry_at is None and self._heal_at is None:
            logger.info("the store takes writes again")
            self._refusal = None

    def _piece_by_piece(
        self, calls: Sequence[Call], events: Sequence[Settled], now: Moment
    ) -> None:
        for event in events:
            self._try_event(event, now)
        for call in calls if self._refusal is None else self._refuse_new(calls):
            self._try_call(call)
        if self._retry_at is None and self._heal_at is None:
            self._try_chores(now)

    def _try_event(self, event: Settled, now: Moment) -> None:
        """Its worker keeps the outcome until it is acknowledged."""

        def settle() -> list[Callable[[], None]]:
            self._station.dispatcher.settle([event], now)
            return []

        try:
            answers = self._transact(settle)
        except StorageError as error:
            self._note_refusal(error)
            if is_trouble(error):
                self._waiting.append(event)
            else:
                self._give_up(event)
        except Exception:  # noqa: BLE001 -- a fault of ours about one outcome is not everybody's
            self._give_up(event)
        else:
            self._conclude(answers)

    def _give_up(self, event: Settled) -> None:
        """An outcome that can never be stored must not be offered for ever: the next daemon tries it."""
        jobs = [row.job_id for row in event.done] + [row.job_id for row in event.outcomes]
        logger.exception("outcomes cannot be stored", extra=fields(worker=event.worker, jobs=jobs))
        self._impossible.append(event)

    def _try_call(self, call: Call) -> None:
        try:
            answers = self._transact(lambda: [self._handle(call)])
        except StorageError as error:
            self._note_refusal(error)
            call.refuse(error)
        except Exception:  # noqa: BLE001 -- a fault of ours in one handler is not everybody's
            refuse_fault(call)
        else:
            self._conclude(answers)

    def _try_chores(self, now: Moment) -> None:
        """Each of our own parts by itself; one that fails does not stop the others.

        It is tried again, but not at once: what fails now will fail in a millisecond too.
        """
        failed = False
        for chore in self._chores(now):
            try:
                answers = self._transact(lambda chore=chore: self._do(chore))  # type: ignore[misc]
            except StorageError as error:
                self._note_refusal(error)
                if is_trouble(error):
                    return
                failed = True
                logger.exception("a part of the daemon failed")
            except Exception:  # noqa: BLE001 -- see above
                failed = True
                logger.exception("a part of the daemon failed")
            else:
                self._conclude(answers)
        if failed:
            self._retry_at = self._station.clock.monotonic() + RETRY_S

    def _do(self, chore: Callable[[], None]) -> list[Callable[[], None]]:
        if self._is_stale:
            self._forget()
        chore()
        return []

    # -- the log ------------------------------------------------------------------------------------

    def _care_for_log(self) -> None:
        """Write the write-ahead log back between turns, before it grows long."""
        self._commits_since_checkpoint += 1
        is_long = self._station.database.log_pages >= _CHECKPOINT_PAGES
        if self._commits_since_checkpoint < _CHECKPOINT_COMMITS and not is_long:
            return
        self._commits_since_checkpoint = 0
        try:
            pages = self._station.database.checkpoint()
            if pages > 2 * _CHECKPOINT_PAGES:
                self._station.database.checkpoint(truncate=True)
        except StorageError as error:
            logger.error(error.message, extra=fields(hint=error.hint))
            self.note_read(error)


def refuse_fault(call: Call) -> None:
    """Tell a client that the daemon failed on its request; inside an ``except``, for the log."""
    logger.exception("a request failed", extra=fields(request=call.request.do))
    call.refuse(JobctlError("the daemon failed on this request", hint="Its log says why."))
