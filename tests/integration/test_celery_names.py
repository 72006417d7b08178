"""Code that was written for Celery, with its imports changed."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl import send_task
from jobctl.api import schedules, tasks
from jobctl.contrib.celery import (
    Celery,
    Settings,
    Task,
    crontab,
    schedule,
    settings,
    shared_task,
    solar,
)
from jobctl.contrib.celery.schedules import table_of
from jobctl.errors import JobctlError, RemoteError, UsageError
from jobctl.protocol import requests
from tests.support.shop import LIMIT_S, Shop

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry, applications and things said of this test only."""
    monkeypatch.setattr(tasks, "_tasks", {})
    monkeypatch.setattr(tasks, "_last_steps", [])
    monkeypatch.setattr(schedules, "_schedules", {})
    monkeypatch.setattr(settings, "_told", set())
    from jobctl.contrib.celery import app

    monkeypatch.setattr(app, "_apps", [])


def write(shop: Shop, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = shop.code / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))


PROJECT = {
    "proj/__init__.py": "",
    "proj/celery.py": """
        from jobctl.contrib.celery import Celery
        app = Celery("proj", broker="redis://localhost", backend="redis://localhost")
        app.config_from_object("proj.celeryconfig")
        app.autodiscover_tasks(["proj", "mail"])

        @app.on_after_configure.connect
        def add_schedules(sender, **kwargs):
            from proj.tasks import add
            sender.add_periodic_task(3600.0, add.s(5, 6), name="add every hour")
    """,
    "proj/celeryconfig.py": """
        from datetime import timedelta
        from jobctl.contrib.celery import crontab
        BROKER_URL = "redis://localhost"
        CELERY_TIMEZONE = "Asia/Shanghai"
        CELERY_IMPORTS = ("extra",)
        CELERY_ROUTES = {"mail.tasks.*": {"queue": "mail"}}
        CELERYD_TASK_TIME_LIMIT = 50
        CELERYBEAT_SCHEDULE = {
            "every second": {"task": "proj.tasks.add", "schedule": timedelta(seconds=1), "args": (2, 3)},
            "noon": {"task": "proj.tasks.add", "schedule": crontab(minute=30, hour=14), "args": (1, 1)},
        }
    """,
    "proj/tasks.py": """
        from proj.celery import app
        from jobctl.contrib.celery import current_task
        tries = []
        @app.task
        def add(x, y): return x + y
        @app.task(bind=True, max_retries=2, name="flaky")
        def flaky(self, how):
            tries.append(how)
            if how == "ask":
                raise self.retry(countdown=0, exc=KeyError(len(tries)))
            raise ValueError(len(tries))
        @app.task(name="auto", autoretry_for=(OSError,), retry_kwargs={"max_retries": 1, "countdown": 0})
        def auto(): raise ConnectionError(current_task.request.retries)
    """,
    "mail/__init__.py": "",
    "mail/tasks.py": """
        from jobctl.contrib.celery import shared_task
        @shared_task(bind=True, acks_late=True)
        def send(self, to): return [to, self.request.delivery_info["routing_key"], self.app.main]
    """,
    "extra.py": """
        from jobctl.contrib.celery import shared_task
        from jobctl.contrib.celery.utils.log import get_task_logger
        logger = get_task_logger(__name__)
        @shared_task
        def extra():
            logger.info("seen")
            logger.debug("not seen")
            return "extra"
    """,
}


@pytest.mark.slow
def test_a_project_of_celery_runs_with_its_imports_changed(shop: Shop) -> None:
    write(shop, PROJECT)
    shop.configure("[queues.mail]\n", daemon='imports = ["proj.celery"]', group="processes = 1")
    shop.daemon.start()
    assert shop.value("proj.tasks.add", 2, 3) == 5
    extra = send_task("extra.extra")
    assert extra.get(timeout=LIMIT_S) == "extra"
    written = shop.daemon.output(extra.id)
    assert re.fullmatch(rf"\[.*: INFO\] extra\.extra\[{extra.id}\]: seen\n", written)
    assert shop.value("mail.tasks.send", "a@b.c") == ["a@b.c", "mail", "proj"]
    with pytest.raises(RemoteError, match="ValueError: 1") as caught:
        send_task("flaky", ["raise"]).get(timeout=LIMIT_S)
    assert isinstance(caught.value, ValueError)
    asked = send_task("flaky", ["ask"])
    with pytest.raises(KeyError):
        asked.get(timeout=LIMIT_S)
    assert len(shop.ended(asked)["attempts"]) == 3
    with pytest.raises(ConnectionError, match="ConnectionError: 1"):
        send_task("auto").get(timeout=LIMIT_S)
    plan = shop.daemon.call(requests.Inspect(what="conf"))
    send = plan["tasks"]["mail.tasks.send"]
    assert (send["queue"], send["timeout"], send["on_lost"]) == ("mail", 50.0, "retry")
    found = plan["schedules"]
    assert {name: found[name]["expression"] for name in found} == {
        "every-second": "1s",
        "noon": "30 14 * * *",
        "add-every-hour": "1h",
    }
    assert (found["noon"]["timezone"], found["noon"]["dialect"]) == ("Asia/Shanghai", "celery")
    shop.daemon.until(
        "a job of the schedule",
        lambda: [
            job
            for job in shop.daemon.call(requests.List())["jobs"]
            if job["args"] == [2, 3] and job["state"] == "SUCCESS"
        ][1:],
    )


@pytest.mark.slow
def test_a_schedule_of_the_code_goes_on_over_a_restart(shop: Shop) -> None:
    shop.start(
        """
        from jobctl import task
        from jobctl.api import schedule
        @task(name="tick")
        def tick(word): return word
        schedule("ticks", task=tick, every="1s", args=["a"])
        """,
        daemon='imports = ["shop"]',
    )

    def fates() -> list[dict[str, Any]]:
        answer = shop.daemon.call(requests.History(schedule="ticks"))
        return [fire for fire in answer["fires"] if fire["job_id"]]

    before = shop.daemon.until("two instants", lambda: fates()[1:])
    shop.daemon.kill()
    shop.daemon.start()
    after = shop.daemon.until("another instant", lambda: len(fates()) > len(before) + 2 and fates())
    assert [fire for fire in before if fire not in after] == []
    anchors = {int(fire["at"]) % 1_000_000 for fire in after}
    assert len(anchors) == 1, "the schedule began anew"


def test_modules_have_the_names_of_celery_and_control_ends_jobs(shop: Shop) -> None:
    shop.start(
        """
        import time
        from jobctl.contrib.celery import Celery, states
        from jobctl.contrib.celery.exceptions import SoftTimeLimitExceeded
        from jobctl.contrib.celery.result import AsyncResult
        from jobctl.contrib.celery.utils.log import get_task_logger
        logger = get_task_logger(__name__)
        app = Celery("app")
        @app.task(name="hang")
        def hang():
            logger.warning("it hangs")
            time.sleep(3600)
        @app.task(name="look")
        def look(id):
            app.control.revoke(id, terminate=True, signal="SIGKILL")
            return [AsyncResult(str(id), app=app).status in states.READY_STATES]
        """,
        daemon='imports = ["shop"]',
        group="processes = 2",
    )
    hang = send_task("hang")
    shop.daemon.until("it to run", lambda: hang.state == "STARTED")
    assert shop.value("look", hang.id) == [True]
    assert hang.state == "REVOKED"


@pytest.mark.slow
def test_a_schedule_of_an_unknown_task_refuses_the_reload(shop: Shop) -> None:
    write(shop, PROJECT)
    shop.configure(daemon='imports = ["proj.celery"]', group="processes = 1")
    shop.daemon.start()
    write(
        shop,
        {
            "extra.py": "from proj.celery import app\napp.add_periodic_task(5, app.task(name='x')(print).s())\napp.conf.beat_schedule['bad'] = {'task': 'nobody', 'schedule': 5}"
        },
    )
    with pytest.raises(JobctlError, match="nobody"):
        shop.reload()


def test_nothing_of_celery_is_imported() -> None:
    code = "import sys; sys.modules['celery'] = None; import jobctl.contrib.celery; print('kombu' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "False False\n"


@pytest.mark.usefixtures("clean")
def test_old_and_new_names_of_settings_are_one_and_what_is_unused_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Django:
        CELERY_TASK_ALWAYS_EAGER = True
        CELERY_BROKER_URL = "redis://"
        CELERY_BEAT_SCHEDULE = {"a": 1}  # noqa: RUF012
        CELERY_TIMEZONE = "Asia/Shanghai"
        DEBUG = True

    conf = Settings()
    with caplog.at_level(logging.WARNING):
        conf.take(Django, namespace="CELERY")
        conf.update(CELERY_ACKS_LATE=True, broker_url="again", task_annotations={})
    assert (conf.task_always_eager, conf.timezone, conf.task_acks_late) == (
        True,
        "Asia/Shanghai",
        True,
    )
    assert conf.beat_schedule == {"a": 1}
    assert "DEBUG" not in conf
    assert [record.getMessage().split()[2] for record in caplog.records] == [
        "broker_url",
        "task_annotations",
    ]
    with pytest.raises(UsageError, match="task_serializer is 'pickle'"):
        conf.update(CELERY_TASK_SERIALIZER="pickle")


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"retries": 3, "retry_delay": 180, "dont_autoretry_for": ["BaseException"]}),
        ({"max_retries": None}, {"retries": 1_000_000}),
        ({"max_retries": 0}, {"retries": 0}),
        (
            {"autoretry_for": (OSError,), "retry_backoff": 5, "retry_backoff_max": 60},
            {
                "autoretry_for": ["OSError"],
                "retry_delay": 5,
                "retry_backoff": True,
                "retry_backoff_max": 60,
            },
        ),
        (
            {"soft_time_limit": 5, "time_limit": 9, "trail": False},
            {"soft_timeout": 5, "timeout": 9},
        ),
    ],
)
def test_options_mean_what_they_mean_in_celery(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    @shared_task(name="one", **given)
    def one() -> None: ...

    assert expected.items() <= one.options.items()


@pytest.mark.usefixtures("clean")
def test_eager_applications_make_jobs_in_place() -> None:
    app = Celery("eager", task_always_eager=True)

    @app.task
    def fail() -> None:
        raise ValueError("bad")

    assert isinstance(fail, Task)
    assert fail.delay().state == "FAILURE"
    app.conf.task_eager_propagates = True
    with pytest.raises(ValueError, match="bad"):
        fail.delay()


@pytest.fixture
def schedule_cases() -> Iterator[tuple[object, dict[str, Any]]]:
    return iter(
        [
            (crontab(), {"cron": "* * * * *", "dialect": "celery"}),
            (crontab(0, [1, 2], "Monday,fri"), {"cron": "0 1,2 * * mon,fri", "dialect": "celery"}),
            (90, {"every": 90.0}),
            (timedelta(days=1), {"every": 86400.0}),
            (schedule(run_every=1.5), {"every": 1.5}),
            (solar("sunset", 1, 2), {"solar": {"event": "sunset", "latitude": 1, "longitude": 2}}),
        ]
    )


def test_schedules_become_tables(schedule_cases: Any) -> None:
    for when, table in schedule_cases:
        assert table_of(when) == table
    with pytest.raises(UsageError, match="is not a schedule"):
        table_of("hourly")


def test_what_the_page_shows_runs(shop: Shop) -> None:
    page = (ROOT / "docs/how-to/from-celery.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (table,) = re.findall(r"```toml\n\[daemon\]\n(.*?)```", page, re.DOTALL)
    write(shop, {"shop/__init__.py": "", "shop/celery.py": first, "shop/reports.py": second})
    shop.configure(daemon=table, group="processes = 1")
    shop.daemon.start()
    assert shop.value("shop.reports.total") == 17
    plan = shop.daemon.call(requests.Inspect(what="conf"))
    assert set(plan["schedules"]) == {"nightly", "pulse"}
    total = plan["tasks"]["shop.reports.total"]
    assert (total["queue"], total["timeout"], total["retry_delay"]) == ("reports", 600.0, 60.0)


def test_every_setting_that_is_used_stands_on_the_page() -> None:
    page = (ROOT / "docs/how-to/from-celery.md").read_text()
    assert [name for name in settings.USED if f"`{name}`" not in page] == []


def test_an_entry_of_installed_apps_may_name_a_class(
    clean: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "shop_of_classes"
    package.mkdir()
    (package / "apps.py").write_text("class ShopConfig:\n    name = 'shop_of_classes'\n")
    (package / "tasks.py").write_text(
        "from jobctl.contrib.celery import task\n@task\ndef found(): ...\n"
    )
    app = Celery("demo")
    app.autodiscover_tasks(lambda: ["shop_of_classes.apps.ShopConfig"], force=True)
    assert list(tasks._tasks) == ["shop_of_classes.tasks.found"]
