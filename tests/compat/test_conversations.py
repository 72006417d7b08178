"""A client of every protocol number that was ever released is answered as it was then.

Kept is what it said and the part of each answer that it may rely on; more keys may have come since.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobctl.protocol.requests import PROTOCOLS, REQUESTS
from tests.support.daemon import running_daemon
from tests.support.wire import Wire

KEPT = sorted((Path(__file__).parent / "kept").glob("protocol-*.jsonl"))
CONFIG = """
[daemon]
timezone = "UTC"
[tasks.greet]
command = ["/bin/echo", "{1}"]
args = ["you"]
cron = "0 4 * * *"
"""


def turns(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def holds(answer: Any, kept: Any) -> bool:
    """Everything that was kept is there; lists are as long as they were."""
    if isinstance(kept, dict):
        return isinstance(answer, dict) and all(
            name in answer and holds(answer[name], value) for name, value in kept.items()
        )
    if isinstance(kept, list):
        return (
            isinstance(answer, list) and len(answer) == len(kept) and all(map(holds, answer, kept))
        )
    return type(answer) is type(kept) and answer == kept


def test_each_protocol_number_that_is_spoken_is_kept() -> None:
    assert [int(path.stem.partition("-")[2]) for path in KEPT] == list(PROTOCOLS)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_conversation_makes_each_request(path: Path) -> None:
    assert {turn["say"]["do"] for turn in turns(path) if "say" in turn} == REQUESTS.keys()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_conversation_goes_as_it_went(path: Path) -> None:
    with running_daemon(CONFIG) as daemon:
        with Wire(daemon.socket, greets=False) as wire:
            for turn in turns(path):
                if "say" in turn:
                    wire.say(turn["say"])
                answer = wire.hear()
                assert holds(answer, turn["hear"]), (turn, answer)
        assert daemon.wait_for_exit() == 0
