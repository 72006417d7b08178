"""Retries with real processes: which ends are tried again, and a function that asks for it itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobctl import send_task
from jobctl.errors import RemoteError
from tests.support.daemon import Daemon, running_daemon
from tests.support.shop import LIMIT_S, Shop

if TYPE_CHECKING:
    from pathlib import Path

QUICK = 'retries = 3\nretry_delay = "0s"\n'


def tries(folder: Path) -> list[str]:
    """What each attempt has written into the ledger, in order."""
    return (folder / "ledger").read_text().split()


@pytest.mark.parametrize(
    ("end", "attempts"),
    [("exit 75", 4), ("exit 2", 4), ("exit 4", 1), ("kill -9 $$", 1), ("exec sleep 60", 4)],
)
def test_only_the_named_ends_of_a_command_are_tried_again(end: str, attempts: int) -> None:
    config = f"""
    [tasks.fetch]
    shell = "echo $JOBCTL_ATTEMPT_NUMBER >> $1; {end}"
    retry_on = [75, "1-3", "timeout"]
    timeout = "500ms"
    stop = "KILL"
    {QUICK}
    """
    with running_daemon(config) as daemon:
        job = daemon.ended(daemon.submit(task="fetch", args=[str(daemon.folder / "ledger")]))

        assert job["state"] == "FAILURE"
        assert tries(daemon.folder) == [str(n) for n in range(1, attempts + 1)]


def test_a_command_that_gives_in_after_a_named_end_succeeds(daemon: Daemon) -> None:
    daemon.config.write_text(
        f"""
        [tasks.fetch]
        shell = "[ $JOBCTL_ATTEMPT_NUMBER = 3 ] || exit 75"
        retry_on = [75]
        {QUICK}
        """
    )
    daemon.stop()
    daemon.start()

    job = daemon.ended(daemon.submit(task="fetch"))

    assert job["state"] == "SUCCESS"
    assert [attempt["exit_code"] for attempt in job["attempts"]] == [75, 75, 0]


CODE = """
    import jobctl, os, signal
    from datetime import UTC, datetime, timedelta
    class Busy(ConnectionError): pass
    class Closed(Busy): pass
    def fetch(kind, ledger):
        with open(ledger, "a") as file:
            file.write("x\\n")
        raise {"busy": Busy, "closed": Closed, "value": ValueError, "exit": SystemExit}[kind]("no")
    def ask(ledger, times, **wish):
        with open(ledger, "a") as file:
            file.write("x\\n")
        with open(ledger) as file:
            if len(file.readlines()) <= times:
                raise jobctl.Retry("come again", **wish)
        return "done"
    def ask_because(ledger):
        try:
            {}["key"]
        except KeyError as error:
            raise jobctl.Retry(countdown=0, max_retries=1) from error
    def ask_wrongly():
        raise jobctl.Retry(countdown=-1)
"""
TABLES = f"""
    [tasks.fetch]
    function = "shop:fetch"
    autoretry_for = ["ConnectionError"]
    dont_autoretry_for = ["shop.Closed"]
    {QUICK}
    [tasks.ask]
    function = "shop:ask"
    retry_delay = 0
    [tasks.ask_because]
    function = "shop:ask_because"
    [tasks.ask_wrongly]
    function = "shop:ask_wrongly"
"""


@pytest.mark.parametrize(
    ("kind", "attempts"), [("busy", 4), ("closed", 1), ("value", 1), ("exit", 1)]
)
def test_only_the_named_exceptions_of_a_function_are_tried_again(
    shop: Shop, kind: str, attempts: int
) -> None:
    shop.start(CODE, TABLES)

    job = shop.ended(send_task("fetch", [kind, str(shop.daemon.folder / "ledger")]))

    assert job["state"] == "FAILURE"
    assert len(tries(shop.daemon.folder)) == len(job["attempts"]) == attempts


def test_classes_of_the_decorator_are_tried_again(shop: Shop) -> None:
    shop.start(
        """
        from jobctl import task
        class Busy(ConnectionError): pass
        @task(autoretry_for=(Busy,), retry_delay=0)
        def busy(): raise Busy
        @task(autoretry_for=(Busy,), retry_delay=0)
        def other(): raise ConnectionError
        """,
        daemon='imports = ["shop"]',
    )

    assert len(shop.ended(send_task("shop.busy"))["attempts"]) == 4
    assert len(shop.ended(send_task("shop.other"))["attempts"]) == 1


@pytest.mark.parametrize(
    ("wish", "times", "attempts"),
    [({}, 1, 2), ({}, 9, 4), ({"countdown": 0}, 3, 4), ({"max_retries": 1}, 9, 2)],
)
def test_a_function_asks_for_a_retry_itself(
    shop: Shop, wish: dict[str, Any], times: int, attempts: int
) -> None:
    shop.start(CODE, TABLES)

    job = shop.ended(send_task("ask", [str(shop.daemon.folder / "ledger"), times], wish))

    assert job["state"] == ("SUCCESS" if times < attempts else "FAILURE")
    assert len(job["attempts"]) == attempts
    if job["state"] == "FAILURE":
        assert job["attempts"][-1]["error"]["type"] == "jobctl.Retry"
        assert job["attempts"][-1]["error"]["message"] == "come again"


def test_a_function_that_asks_for_an_hour_waits_an_hour_also_over_a_restart(shop: Shop) -> None:
    shop.start(CODE, TABLES)
    ledger = str(shop.daemon.folder / "ledger")
    result = send_task("ask", [ledger, 1], {"countdown": 3600})

    def is_waiting() -> bool:
        return bool(shop.daemon.status(result.id)["state"] == "RETRY")

    shop.daemon.until("the job to wait", is_waiting)
    shop.daemon.kill()
    shop.daemon.start()

    job = shop.daemon.status(result.id)
    assert job["state"] == "RETRY"
    assert 3590 < (job["eta"] - job["attempts"][0]["finished_at"]) / 1e6 < 3700


def test_a_retry_that_is_not_granted_fails_with_what_it_was_raised_from(shop: Shop) -> None:
    shop.start(CODE, TABLES)

    error = send_task("ask_because", ["ledger"]).get(timeout=LIMIT_S, propagate=False)

    assert isinstance(error, RemoteError)
    assert (error.type, error.text) == ("KeyError", "'key'")


def test_a_retry_that_makes_no_sense_fails_where_it_is_asked_for(shop: Shop) -> None:
    shop.start(CODE, TABLES)

    error = send_task("ask_wrongly").get(timeout=LIMIT_S, propagate=False)

    assert isinstance(error, RemoteError)
    assert (error.type, error.text) == (
        "ValueError",
        "Retry: -1 is not a countdown: seconds, 0 or more",
    )
