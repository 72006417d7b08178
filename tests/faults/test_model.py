"""The queue against its model in short; ``python -m tests.faults.model`` runs longer."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.store import jobs as job_rows
from jobctl.store import keys as key_rows
from tests.faults import model
from tests.faults.model_daemon import Workers

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_queue_does_what_its_model_says() -> None:
    model.run(histories=12, steps=40, number=random.SystemRandom().randrange(2**32))


# -- the controls: with a promise broken on purpose, the same model finds it ------------------------------


def _forget_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next daemon takes what runs for what was never begun, as after a heartbeat that came too late."""
    adopt = Workers.adopt

    def forgetful(self: Workers, running: Any) -> None:
        self.held, held = {}, self.held
        adopt(self, running)
        self.held = held

    monkeypatch.setattr(Workers, "adopt", forgetful)


def _take_any_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome of an attempt that has ended counts for the one that runs."""
    running = job_rows.running

    def careless(database: Any, *, id: int, token: int) -> Any:
        row = database.row("SELECT token FROM jobs WHERE id = ?", (id,))
        return running(database, id=id, token=row[0] if row and row[0] else token)

    monkeypatch.setattr(job_rows, "running", careless)


def _keep_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_rows, "add", lambda _database, _bindings: True)


@pytest.mark.parametrize(
    "broken", [_forget_what_runs, _take_any_token, _keep_no_keys], ids=lambda each: each.__name__
)
def test_control_a_broken_promise_is_found(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)

    with pytest.raises(AssertionError):
        model.run(histories=100, steps=40, number=1, is_shrunk=False)
