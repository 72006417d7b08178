"""``queue purge``: what is asked of the daemon, slice by slice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.integration.cli.scripted_daemon import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.cli.line_fixtures import Shown
    from tests.integration.cli.scripted_daemon import ScriptedDaemon

    Run = Callable[..., Shown]
    Start = Callable[..., ScriptedDaemon]


def test_a_purge_asks_until_there_is_no_more_and_tells_the_sum(run: Run, daemon: Start) -> None:
    first: dict[str, Any] = {"queue": "mail", "revoked": 500, "until": 900, "next": ["eta", 0, 7]}
    last: dict[str, Any] = {"queue": "mail", "revoked": 4, "until": 900, "next": None}
    started = daemon(purge=Turns([first, last]))

    shown = run("queue", "purge", "mail", "--json")

    assert json.loads(shown.out) == {"queues": [{"queue": "mail", "revoked": 504}]}
    asked = [{name: frame[name] for name in frame if name != "id"} for frame in started.requests]
    assert asked == [
        {"do": "purge", "queue": "mail"},
        {"do": "purge", "queue": "mail", "until": 900, "next": ["eta", 0, 7]},
    ]
