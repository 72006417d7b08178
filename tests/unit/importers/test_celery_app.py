"""What of a Celery application carries over, by what its reader has told."""

from __future__ import annotations

from typing import Any

import pytest
import tomli

from jobctl.contrib.celery import settings as contrib_settings
from jobctl.importers.celery_app import AppImport, convert_app
from jobctl.importers.celery_beat import Verdict


def converted(tasks: Any = (), **settings: Any) -> AppImport:
    return convert_app({"module": "shop.celery", "settings": settings, "tasks": list(tasks)})


def a_task(**others: Any) -> dict[str, Any]:
    return {
        "name": "shop.add",
        "serializer": "json",
        "rate_limit": None,
        "acks_late": False,
        "reject_on_worker_lost": False,
        "overrides": [],
        **others,
    }


def test_what_belongs_to_the_daemon_is_written_for_it() -> None:
    found = converted(
        worker_concurrency=4,
        CELERYD_MAX_TASKS_PER_CHILD=100,
        worker_max_memory_per_child=20_000,
        worker_pool="gevent",
        task_annotations={"shop.add": {"rate_limit": "10/m", "time_limit": 60}},
    )
    assert tomli.loads(found.toml) == {
        "daemon": {"imports": ["shop.celery"]},
        "workers": {
            "default": {
                "processes": 4,
                "max_tasks_per_child": 100,
                "max_memory_per_child": "20000KiB",
                "pool": "threads",
            }
        },
        "tasks": {"shop.add": {"rate_limit": "10/m", "timeout": 60}},
    }
    verdicts = {setting.name: setting.verdict for setting in found.settings}
    assert verdicts.pop("worker_pool") is Verdict.NOTE
    assert set(verdicts.values()) == {Verdict.CLEAN}


@pytest.mark.parametrize(
    ("name", "value", "verdict", "said"),
    [
        ("timezone", "UTC", "clean", ""),
        ("CELERY_TIMEZONE", "UTC", "clean", ""),
        ("broker_url", None, "left out", "no broker"),
        ("BROKER_URL", None, "left out", "no broker"),
        ("broker_transport_options", None, "left out", "no broker"),
        ("result_backend", None, "left out", "the daemon keeps results"),
        ("result_expires", 60, "clean", ""),
        ("worker_prefetch_multiplier", 1, "left out", "taken back"),
        ("worker_log_format", "%", "left out", "log_format"),
        ("worker_concurrency", None, "clean", ""),
        ("worker_concurrency", "many", "decision", "write processes"),
        ("worker_pool", "prefork", "clean", ""),
        ("worker_pool", "solo", "note", "processes = 1"),
        ("worker_pool", "shop.pool:Mine", "decision", "pool of its own"),
        ("task_serializer", "json", "clean", ""),
        ("task_serializer", "pickle", "decision", "pickle: arguments and results are JSON"),
        ("accept_content", ["json", "yaml"], "decision", "yaml: arguments"),
        ("beat_scheduler", "celery.beat:PersistentScheduler", "left out", "is the scheduler"),
        ("beat_scheduler", "django_celery_beat.schedulers:DatabaseScheduler", "decision", "add"),
        ("task_routes", {"a.*": {"queue": "b"}}, "note", "queue and priority"),
        ("task_routes", ["<function route>"], "decision", "a function"),
        ("task_annotations", {"*": {"rate_limit": "1/s"}}, "decision", "not written: *.rate_limit"),
        ("task_annotations", {"a": {"rate_limit": "soon"}}, "decision", "a.rate_limit"),
        ("task_annotations", ["<Annotate>"], "decision", "[tasks."),
        ("task_inherit_parent_priority", True, "decision", "priority"),
        ("task_inherit_parent_priority", False, "clean", ""),
        ("task_acks_on_failure_or_timeout", False, "decision", "retries"),
        ("task_of_the_future", 1, "decision", "nothing here does"),
    ],
)
def test_each_setting_is_judged_with_a_reason(
    name: str, value: Any, verdict: str, said: str
) -> None:
    (found,) = converted(**{name: value}).settings
    assert (found.name, found.verdict) == (name, verdict)
    assert said in " ".join(found.notes)
    assert tomli.loads(converted(**{name: value}).toml)["daemon"]


def test_what_is_no_setting_of_celery_is_not_told() -> None:
    assert converted(DEBUG=True, INSTALLED_APPS=["shop"], app="shop", timedelta=1).settings == ()


def test_each_setting_that_is_used_is_clean_or_says_why_not() -> None:
    for name, value in contrib_settings.USED.items():
        (found,) = converted(**{name: value}).settings
        assert found.verdict is Verdict.CLEAN or found.notes, name


@pytest.mark.parametrize(
    ("task", "verdict", "said"),
    [
        ({}, "clean", ""),
        ({"serializer": "pickle"}, "decision", "serializer pickle"),
        ({"rate_limit": "10/m"}, "note", "not of each worker"),
        ({"acks_late": True}, "note", "runs again when its worker dies"),
        ({"acks_late": True, "reject_on_worker_lost": True}, "clean", ""),
        ({"overrides": ["__call__"]}, "decision", "__call__ of its own"),
        ({"overrides": ["apply_async", "retry"]}, "decision", "overrides apply_async, retry"),
    ],
)
def test_each_task_is_judged_with_a_reason(task: Any, verdict: str, said: str) -> None:
    (found,) = converted([a_task(**task)]).tasks
    assert (found.name, found.verdict) == ("shop.add", verdict)
    assert said in " ".join(found.notes)
