"""The form of an outcome on channel and in record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobctl.errors import ProtocolError
from jobctl.result import Outcome, Verdict

LEAST = {"token": 1, "job_id": 2, "verdict": "success", "finished_at": 3}


def test_an_outcome_survives_json_whole() -> None:
    outcome = Outcome(
        token=2**62,
        job_id=7,
        verdict=Verdict.TIMEOUT,
        started_at=1,
        finished_at=2,
        exit_code=None,
        signal=9,
        result='{"a":1}',
        error='{"type":"T","message":"m","traceback":""}',
        user_s=0.5,
        system_s=0.25,
        max_rss_bytes=1 << 20,
        peak_memory_bytes=3 << 20,
        output=bytes(range(256)),
        output_bytes=9999,
        output_file=True,
        stderr=b"\xfe\x00e",
        stderr_bytes=77,
        stderr_file=True,
        proof="subreaper",
        remaining=(12, 13),
    )

    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome


def test_what_has_its_default_is_left_out() -> None:
    assert Outcome.from_json(LEAST).to_json() == LEAST


def test_an_exit_code_of_zero_is_no_default() -> None:
    assert Outcome.from_json({**LEAST, "exit_code": 0}).to_json()["exit_code"] == 0


@pytest.mark.parametrize(
    "data",
    [
        {},
        {**LEAST, "colour": "red"},
        {**LEAST, "verdict": "splendid"},
        {**LEAST, "verdict": None},
        {**LEAST, "token": "1"},
        {**LEAST, "token": True},
        {**LEAST, "finished_at": 1.5},
        {**LEAST, "output": 7},
        {**LEAST, "output": "€"},
        {**LEAST, "stderr": "€"},
        {**LEAST, "stderr_bytes": "7"},
        {**LEAST, "remaining": 7},
        {**LEAST, "kinds": 7},
        {**LEAST, "kinds": [7]},
        {**LEAST, "retry": {}},
        {name: value for name, value in LEAST.items() if name != "job_id"},
    ],
)
def test_what_is_no_outcome_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        Outcome.from_json(data)
