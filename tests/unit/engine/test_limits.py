"""When the daemon ends attempts by itself."""

from __future__ import annotations

from pathlib import Path

from jobctl.engine.local.batches import _Limits
from jobctl.engine.local.worker import Worker
from jobctl.result import Verdict

WORKER = Worker(instance="w", kind="function", group="g", directory=Path("/none"), cgroup="")


def test_what_is_due_is_told_once_and_in_order() -> None:
    limits = _Limits()
    for at, token in ((3.0, 3), (1.0, 1), (2.0, 2)):
        limits.add(at, WORKER, token)
    limits.add(2.0, WORKER, 4, Verdict.CANCELLED)
    assert limits.next_at == 1.0
    assert [*limits.due(2.0)] == [
        (1, "w", Verdict.TIMEOUT),
        (2, "w", Verdict.TIMEOUT),
        (4, "w", Verdict.CANCELLED),
    ]
    assert [*limits.due(2.0)] == []
    assert limits.next_at == 3.0


def test_nobody_wakes_up_for_what_is_over_and_it_takes_no_room() -> None:
    limits = _Limits()
    alive = {7}
    for token in range(1000):
        limits.add(float(token), WORKER, token)
        limits.prune(lambda token, _: token not in alive)
    assert limits.next_at == 7.0
    assert len(limits._heap) < 200
    alive.clear()
    limits.prune(lambda token, _: token not in alive)
    assert limits.next_at is None
