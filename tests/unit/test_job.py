"""The table of changes is that of DESIGN section 4."""

from __future__ import annotations

from jobctl.job import FINAL, UNFINISHED, WAITING, Change, State

P, S, R = State.PENDING, State.STARTED, State.RETRY
OK, BAD, GONE = State.SUCCESS, State.FAILURE, State.REVOKED


def test_the_allowed_changes_are_those_of_the_design() -> None:
    allowed = {(source, change.target) for change in Change for source in change.sources}

    assert allowed == {
        (P, S), (R, S),
        (S, OK), (S, R), (S, BAD), (S, P),
        (P, GONE), (R, GONE), (S, GONE),
        (OK, P), (BAD, P), (GONE, P),
    }  # fmt: skip


def test_every_state_is_either_final_or_unfinished() -> None:
    assert set(State) == FINAL | UNFINISHED
    assert not FINAL & UNFINISHED
    assert UNFINISHED - {State.STARTED} == WAITING


def test_only_asking_for_it_leads_out_of_a_final_state() -> None:
    assert {change for change in Change if change.sources & FINAL} == {Change.RENEW}
