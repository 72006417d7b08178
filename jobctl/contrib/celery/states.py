"""``celery.states`` under its names: those that jobs have here."""

from __future__ import annotations

from jobctl.job import FINAL, UNFINISHED, State

PENDING = State.PENDING.value
STARTED = State.STARTED.value
RETRY = State.RETRY.value
SUCCESS = State.SUCCESS.value
FAILURE = State.FAILURE.value
REVOKED = State.REVOKED.value
READY_STATES = frozenset(state.value for state in FINAL)
UNREADY_STATES = frozenset(state.value for state in UNFINISHED)
PROPAGATE_STATES = frozenset({FAILURE, REVOKED})
EXCEPTION_STATES = frozenset({RETRY, *PROPAGATE_STATES})
ALL_STATES = READY_STATES | UNREADY_STATES
