"""Whatever happened to a schedule, it can be looked back at: it is proved, and every question is answered.

The histories are those of `test_every_instant`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobctl.clock import SECOND
from jobctl.protocol import requests
from jobctl.store.database import open_database
from tests.property.beat.test_every_instant import STEPS, History
from tests.support.asking import Asking
from tests.support.beating import Beating

# Other zone data leaves nothing to be judged: that is a test of its own.
HISTORIES = st.lists(STEPS.filter(lambda step: step[0] != "zones"), min_size=5, max_size=30)


@settings(max_examples=60)
@given(
    HISTORIES,
    st.lists(st.integers(-3600, 4 * 3600), max_size=5),
    st.sampled_from(["08:30", "23:59:59", "2027-01-15", "2027-01-15 09:10", "2027-03-28 02:30"]),
)
def test_every_history_is_proved_and_every_question_answered(
    steps: list[tuple[str, Any]], seconds: list[int], local: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "jobctl.db")
        try:
            beating = Beating(database)
            asking = Asking(beating, Path(folder))
            began_at = beating.clock.now()
            history = History(beating)
            for what, with_what in steps:
                history.do(what, with_what)
            audit = asking.ask(requests.Audit())
            assert (audit["violations"], audit["unjudged"]) == ([], [])
            questions = [requests.Why(name="backup"), requests.Why(name="backup", local=local)]
            questions += [
                requests.Why(name="backup", at=began_at + second * SECOND) for second in seconds
            ]
            for question in questions:
                answer = asking.ask(question)
                assert answer["sentences"]
                told = " ".join(answer["sentences"])
                # What only a fault of ours would say.
                assert "should not be" not in told
                assert "None" not in told
            for job in {fire["job_id"] for fire in beating.fires() if fire["job_id"]}:
                assert asking.ask(requests.Why(name=str(job)))["job"]["id"] == job
        finally:
            database.close()
