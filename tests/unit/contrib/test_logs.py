"""Log records that say which job they belong to."""

from __future__ import annotations

import io
import logging
import logging.config
import sys
from typing import TYPE_CHECKING

import pytest

from jobctl import FunctionTask, current, task
from jobctl.api import tasks
from jobctl.contrib.logs import JobFilter, JobHandler

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"job": {"()": "jobctl.contrib.logs.JobFilter"}},
            "formatters": {"line": {"format": "%(task_name)s[%(task_id)s/%(job_id)s] %(message)s"}},
            "handlers": {
                "out": {
                    "class": "jobctl.contrib.logs.JobHandler",
                    "filters": ["job"],
                    "formatter": "line",
                }
            },
            "loggers": {"of.this.test": {"handlers": ["out"], "level": "INFO", "propagate": False}},
        }
    )
    found = logging.getLogger("of.this.test")
    yield found
    found.handlers.clear()


def test_a_record_names_the_job_and_goes_where_standard_error_is_now(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    logger.info("outside")
    monkeypatch.setattr(sys, "stderr", second)
    monkeypatch.setattr(current, "_source", lambda: [1, 17, "shop.add", 0, 0, {}])
    logging.getLogger("of.this.test.below").info("inside")
    assert first.getvalue() == "-[-/-] outside\n"
    assert second.getvalue() == "shop.add[17/17] inside\n"


def test_a_bound_job_in_place_is_named_too(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_tasks", {})
    seen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", seen)

    @task(bind=True, name="bound")
    def bound(self: FunctionTask[..., Any]) -> None:
        logger.info("in place")

    result = bound.apply()
    assert seen.getvalue() == f"bound[{result.id}/{result.id}] in place\n"


def test_the_parts_can_be_put_together_by_hand() -> None:
    handler = JobHandler()
    handler.addFilter(JobFilter())
    assert handler.stream is sys.stderr
