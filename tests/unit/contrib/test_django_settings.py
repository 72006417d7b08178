"""What Django's settings may say about jobctl. Django itself is not needed for it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.api import tasks
from jobctl.contrib.django import DjangoTask, SettingError, prepare_worker, shared_task, task
from jobctl.contrib.django.settings import Settings, read_settings
from jobctl.errors import InvalidArguments, UsageError

if TYPE_CHECKING:
    from jobctl import FunctionTask


def read(**settings: Any) -> Settings:
    return read_settings(SimpleNamespace(DEBUG=True, CELERY_BROKER_URL="redis://", **settings))


def test_settings_are_read_and_those_of_others_are_left_alone() -> None:
    assert read() == Settings(schedules={})
    table = {"task": "shop.tasks.report", "cron": "30 2 * * *"}
    found = read(
        JOBCTL_SOCKET=Path("/run/jobctl.sock"),
        JOBCTL_CONFIG="/etc/jobctl.toml",
        JOBCTL_PATIENCE_S=3,
        JOBCTL_ALWAYS_EAGER=True,
        JOBCTL_SCHEDULES={"nightly": table},
        JOBCTL_STATE_DIR=None,
        JOBCTL_TASKS_OF=["orders"],
    )
    assert found == Settings(
        socket=Path("/run/jobctl.sock"),
        config=Path("/etc/jobctl.toml"),
        patience_s=3.0,
        always_eager=True,
        tasks_of=("orders",),
        schedules={"nightly": table},
    )


def test_an_unknown_setting_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(SettingError, match="JOBCTL_PATIENSE_S is no setting") as caught:
        read(JOBCTL_PATIENSE_S=3)
    assert caught.value.hint == "Did you mean JOBCTL_PATIENCE_S?"
    with pytest.raises(SettingError) as caught:
        read(JOBCTL_X=3)
    assert "JOBCTL_SCHEDULES" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOCKET", "jobctl.sock"),
        ("SOCKET", 5),
        ("CONFIG", ""),
        ("PATIENCE_S", "10"),
        ("PATIENCE_S", True),
        ("PATIENCE_S", -1),
        ("PATIENCE_S", float("inf")),
        ("PATIENCE_S", float("nan")),
        ("ALWAYS_EAGER", 1),
        ("TASKS_MODULE", "my tasks"),
        ("TASKS_OF", "orders"),
        ("TASKS_OF", ["orders", 3]),
        ("SCHEDULES", ["nightly"]),
        ("SCHEDULES", {"nightly": "30 2 * * *"}),
        ("SCHEDULES", {5: {}}),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"the setting JOBCTL_{name} is .*, not "):
        read(**{f"JOBCTL_{name}": value})


def test_a_worker_without_the_name_of_the_settings_is_told_where_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    with pytest.raises(UsageError, match="no DJANGO_SETTINGS_MODULE") as caught:
        prepare_worker()
    assert "env = {" in caught.value.hint


def test_each_form_of_the_decorator_gives_a_task_that_knows_commits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "_tasks", {})

    @task
    def plain(number: int) -> int:
        return number

    @shared_task(bind=True, retries=2)
    def bound(self: FunctionTask[..., Any], number: int) -> int:
        return number + self.request.retries

    class Base(DjangoTask[..., Any]):
        priority = 7

    @task(base=Base)
    def of_base() -> None: ...

    assert [type(one) for one in (plain, bound, of_base)] == [DjangoTask, DjangoTask, Base]
    assert (plain(3), bound(4)) == (3, 4)
    assert (bound.options["retries"], of_base.options["priority"]) == (2, 7)
    with pytest.raises(UsageError, match="options by name"):
        task("name")  # type: ignore[call-overload]


def test_what_cannot_be_submitted_is_refused_before_the_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "_tasks", {})

    @task
    def plain(number: object) -> object:
        return number

    with pytest.raises(InvalidArguments, match="plain"):
        plain.delay_on_commit({1, 2})
    eta = datetime(2030, 1, 1, tzinfo=UTC)
    with pytest.raises(UsageError, match="eta and countdown"):
        plain.apply_async_on_commit([1], countdown=5, eta=eta)
