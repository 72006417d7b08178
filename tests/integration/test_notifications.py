"""Which messages are made, over a real store, by a clock that tests move; nothing is sent."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.beat import Beat
from jobctl.dispatcher import Dispatcher
from jobctl.dispatcher.allowances import Allowances
from jobctl.dispatcher.orders import Orders
from jobctl.engine.base import Done, Settled
from jobctl.errors import NotFound
from jobctl.notify.notifications import Notifications
from jobctl.plan import DaemonSettings
from jobctl.plan.routes import Route, build_route
from jobctl.plan.senders import NOTICE, QUEUE, task_name
from jobctl.result import Verdict
from jobctl.store import jobs as job_rows
from jobctl.store.database import Database, open_database
from jobctl.store.jobs import NewJob, ready_line
from jobctl.task import UNKNOWN_SOURCE
from tests.support.builders import a_job, a_plan, a_schedule, a_task, an_outcome
from tests.support.dispatching import Dispatching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobctl.plan import Plan


class Telling(Dispatching):
    """A dispatcher that tells people; the messages stay in their queue."""

    def start(self, plan: Plan) -> None:
        self.notifications = Notifications(
            database=self.database,
            queueing=self,
            clock=self.clock,
            host="web1",
            instance="abc",
            output_dir=self.folder / "output",
        )
        self.dispatcher = Dispatcher(
            database=self.database,
            engine=self.engine,
            clock=self.clock,
            rng=random.Random(5),
            orders=Orders(self.folder / "output"),
            host=self.host,
            teller=self.notifications,
        )
        self.dispatcher.recover()
        self.take(plan)

    # -- as `jobctl.daemon.telling` does it -----------------------------------------------------------

    def make(self, route: str, notice: str) -> NewJob:
        payload = json.dumps({"args": [], "kwargs": {NOTICE: notice}})
        line = ready_line("command", QUEUE)
        return a_job(
            task=task_name(route), queue=QUEUE, line=line, payload=payload, now=self.clock.now()
        )

    def submit(self, *rows: NewJob) -> None:
        if self.database.connection.in_transaction:
            job_rows.submit(self.database, rows)
            for row in rows:
                self.dispatcher.note_ready(row.line)
        else:
            super().submit(*rows)

    def revoke(self, job_id: int) -> None:
        self.dispatcher.cancel(job_id, self.clock.now())

    def wait_for(self, job_id: int) -> None:
        self.dispatcher.note_ended([job_id])

    # -- what tests do --------------------------------------------------------------------------------

    def run(self, verdict: Verdict = Verdict.FAILURE, task: str = "backup", **end: Any) -> int:
        """A job of a task runs and ends, a minute later; its id."""
        job_id = self.ask(task)
        self.settle()
        attempt = self.engine.started["k1"][-1]
        assert attempt.job_id == job_id
        self.clock.advance(60)
        self.turn(self.ended(attempt, verdict, **end))
        return job_id

    def ended(self, attempt: Any, verdict: Verdict, **end: Any) -> Settled:
        now = self.clock.now()
        outcome = an_outcome(attempt, verdict, **{"finished_at": now, **end})
        return Settled("k1", outcomes=[outcome])

    def digest(self) -> None:
        """What the daemon does in a turn in which a digest is due."""
        assert self.notifications.is_due(self.clock.now())
        with self.database.transaction():
            self.notifications.step(self.clock.now())

    def told(self, route: str = "ops") -> list[dict[str, Any]]:
        """The messages of a route, oldest first."""
        rows = reversed(job_rows.page(self.database, before=2**62, limit=1000))
        payloads = [row["payload"] for row in rows if row["task"] == task_name(route)]
        return [json.loads(json.loads(payload)["kwargs"][NOTICE]) for payload in payloads]

    def events(self, route: str = "ops") -> list[str]:
        """What they tell of."""
        return [notice["event"] for notice in self.told(route)]


def a_route(name: str = "ops", **values: Any) -> Route:
    """A route by mail."""
    given = {"kind": "mail", "to": ("root",), **values}
    return build_route(name, given, source=UNKNOWN_SOURCE)


def a_ping(**values: Any) -> Route:
    """A route by ping."""
    given = {"kind": "ping", "url": "https://hc.example.org/x", **values}
    return build_route("hc", given, source=UNKNOWN_SOURCE)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "jobctl.db")
    yield opened
    opened.close()


def telling(database: Database, tmp_path: Path, *routes: Route, **parts: Any) -> Telling:
    """A dispatcher with a plan that has these routes."""
    return Telling(database, tmp_path, a_plan(routes=routes or (a_route(),), **parts))


def test_what_is_known_survives_a_restart(database: Database, tmp_path: Path) -> None:
    bench = telling(database, tmp_path)
    first = bench.run()
    bench.start(bench.plan)
    bench.run()
    bench.start(bench.plan)
    bench.run(Verdict.SUCCESS)

    told = bench.told()
    assert [notice["event"] for notice in told] == ["failure", "failure", "recovery"]
    assert [notice["failures"] for notice in told] == [1, 2, 2]
    assert told[0]["id"] == first
    assert {notice["thread"] for notice in told} == {told[0]["message_id"]}


def test_a_turn_that_is_rolled_back_has_told_nothing(database: Database, tmp_path: Path) -> None:
    bench = telling(database, tmp_path)
    bench.ask("backup")
    bench.settle()
    event = bench.ended(bench.engine.started["k1"][-1], Verdict.FAILURE)

    bench.spoil(event)
    bench.dispatcher.refresh()
    bench.notifications.recover()
    assert bench.told() == []
    bench.turn(event)
    # Whoever has ended says so again until he is heard.
    bench.turn(event)

    assert [notice["failures"] for notice in bench.told()] == [1]


def test_repeats_are_held_back_for_a_while_and_counted(database: Database, tmp_path: Path) -> None:
    bench = telling(database, tmp_path, a_route(repeat_after_s=3600.0))
    for _ in range(5):
        bench.run()
    bench.clock.advance(3600)
    bench.start(bench.plan)
    bench.run()
    bench.run(Verdict.SUCCESS)

    told = bench.told()
    assert [notice["event"] for notice in told] == ["failure", "failure", "recovery"]
    assert [notice["failures"] for notice in told] == [1, 6, 6]


def test_a_digest_gathers_and_survives_a_restart(database: Database, tmp_path: Path) -> None:
    bench = telling(database, tmp_path, a_route(digest_s=600.0), tasks=[a_task("a"), a_task("b")])
    bench.run(task="a", output=b"x" * 5000, output_bytes=5000)
    due = bench.notifications.next_due()
    assert due == bench.clock.now() + 600_000_000
    bench.run(task="b")
    bench.run(Verdict.SUCCESS, task="a")
    bench.start(bench.plan)
    assert bench.notifications.next_due() == due
    assert not bench.notifications.is_due(bench.clock.now())
    assert bench.told() == []
    bench.clock.set(due)
    bench.digest()

    (digest,) = bench.told()
    assert (digest["event"], digest["count"]) == ("digest", 3)
    assert [item["event"] for item in digest["items"]] == ["failure", "failure", "recovery"]
    assert len(digest["items"][0]["output"]) <= 500
    assert bench.notifications.next_due() is None


def test_a_digest_of_one_is_no_digest(database: Database, tmp_path: Path) -> None:
    bench = telling(database, tmp_path, a_route(digest_s=600.0))
    bench.run()
    bench.clock.advance(601)
    bench.digest()

    assert bench.events() == ["failure"]


def test_a_digest_of_thousands_stays_short(database: Database, tmp_path: Path) -> None:
    bench = telling(database, tmp_path, a_route(digest_s=86400.0))
    for _ in range(150):
        bench.run()
    bench.clock.advance(86400)
    bench.digest()

    (digest,) = bench.told()
    assert (digest["count"], len(digest["items"])) == (150, 100)


def test_routes_choose_by_task_and_queue_and_a_task_by_itself(
    database: Database, tmp_path: Path
) -> None:
    tasks = [
        a_task("shop.a"),
        a_task("shop.b", queue="heavy"),
        a_task("other", notify=["named"]),
        a_task("quiet", notify=[]),
    ]
    routes = [
        a_route("all"),
        a_route("shop", tasks=("shop.*",)),
        a_route("heavy", queues=("he?vy",)),
        a_route("named", tasks=("shop.a",)),
    ]
    bench = telling(database, tmp_path, *routes, tasks=tasks)
    for name in ("shop.a", "shop.b", "other", "quiet"):
        bench.run(task=name)
    chosen = {route.name: [notice["task"] for notice in bench.told(route.name)] for route in routes}

    assert chosen == {
        "all": ["shop.a", "shop.b"],
        "shop": ["shop.a", "shop.b"],
        "heavy": ["shop.b"],
        "named": ["shop.a", "other"],
    }


def test_a_function_that_returns_ends_its_trouble(database: Database, tmp_path: Path) -> None:
    bench = telling(database, tmp_path, tasks=[a_task("f", function="m:f")])
    bench.engine.room = {("w1", "function"): 1}

    def run(*, ok: bool) -> None:
        job = a_job(kind="function", task="f", now=bench.clock.now())
        bench.submit(job)
        bench.settle()
        attempt = bench.engine.started["w1"][-1]
        now = bench.clock.advance(1)
        if not ok:
            bench.turn(Settled("w1", outcomes=[an_outcome(attempt, Verdict.FAILURE)]))
            return
        done = Done(attempt.token, job.id, now, now, "1", attempt.number, now, "f")
        bench.turn(Settled("w1", done=[done]))

    run(ok=True)
    assert "f" not in bench.notifications.watched
    run(ok=False)
    assert "f" in bench.notifications.watched
    run(ok=True)
    assert "f" not in bench.notifications.watched
    assert bench.events() == ["failure", "recovery"]


def test_the_begin_of_an_attempt_is_told_and_taken_back_by_its_end(
    database: Database, tmp_path: Path
) -> None:
    bench = telling(database, tmp_path, a_ping())
    bench.run(Verdict.SUCCESS)

    jobs = {row["id"]: row["state"] for row in job_rows.page(database, before=2**62, limit=9)}
    assert bench.events("hc") == ["start", "success"]
    start, success = (id for id in sorted(jobs) if jobs[id] in ("REVOKED", "PENDING"))
    assert (jobs[start], jobs[success]) == ("REVOKED", "PENDING")


def test_a_newer_ping_waits_for_the_one_that_is_being_sent(
    database: Database, tmp_path: Path
) -> None:
    ping = a_ping(on=("success", "failure"))
    bench = telling(database, tmp_path, ping)
    bench.run()
    taken = job_rows.claim(
        database, line=ready_line("command", QUEUE), instance="s1", limit=1, now=bench.clock.now()
    )
    for verdict in (Verdict.SUCCESS, Verdict.FAILURE, Verdict.SUCCESS):
        bench.run(verdict)
    rows = sorted(job_rows.page(database, before=2**62, limit=99), key=lambda row: row["id"])
    lines = [(row["state"], row["line"]) for row in rows if row["queue"] == QUEUE]

    assert [state for state, _ in lines] == ["STARTED", "REVOKED", "REVOKED", "PENDING"]
    assert lines[-1][1] == "after"
    # The one that is being sent fails: nobody needs it any more, and the newest goes.
    bench.turn(Settled("s1", outcomes=[an_outcome(taken[0], Verdict.FAILURE, exit_code=75)]))
    bench.turns()
    rows = sorted(job_rows.page(database, before=2**62, limit=99), key=lambda row: row["id"])
    assert [(row["state"], row["line"]) for row in rows if row["queue"] == QUEUE] == [
        ("REVOKED", None),
        ("REVOKED", None),
        ("REVOKED", None),
        ("PENDING", ready_line("command", QUEUE)),
    ]


def test_messages_tell_nobody_of_messages(database: Database, tmp_path: Path) -> None:
    bench = telling(database, tmp_path, a_route(on=("failure", "success", "retry", "output")))
    bench.run()
    (taken,) = job_rows.claim(
        database, line=ready_line("command", QUEUE), instance="s1", limit=1, now=bench.clock.now()
    )
    bench.turn(Settled("s1", outcomes=[an_outcome(taken, Verdict.FAILURE, exit_code=65)]))

    assert bench.events() == ["failure"]


def test_output_in_a_file_is_told_by_its_two_ends(database: Database, tmp_path: Path) -> None:
    bench = telling(database, tmp_path, a_route(output_bytes=100))
    job = bench.ask("backup")
    bench.settle()
    path = tmp_path / f"output/{job // 1000}/{job}.1"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"begin" + b"." * 99_990 + b"\xffend\x1b")
    attempt = bench.engine.started["k1"][-1]
    bench.turn(bench.ended(attempt, Verdict.FAILURE, output_file=True, output_bytes=100_000))

    (notice,) = bench.told()
    assert notice["output"].startswith("begin....")
    assert notice["output"].endswith("\ufffdend\ufffd")
    assert "99900 bytes are left out" in notice["output"]


def test_what_was_missed_is_one_message(database: Database, tmp_path: Path) -> None:
    bench = telling(database, tmp_path)
    schedules = [a_schedule(name, every="1h") for name in ("one", "two")]
    plan = a_plan(routes=(a_route(),), schedules=schedules)
    bench.take(plan)

    def beat() -> Beat:
        made = Beat(
            database=database,
            make_job=lambda *_, **__: a_job(now=bench.clock.now()),
            cancel=bench.dispatcher.cancel,
            host="host",
            boot_id="boot",
            clock=bench.clock,
            tell_missed=bench.notifications.missed,
        )
        with database.transaction():
            bring_into_force = made.prepare(plan, bench.clock.now())
        bring_into_force()
        return made

    beat()
    bench.clock.advance(5 * 3600 + 1800)
    away = beat()
    with database.transaction():
        away.step(bench.clock.now())
    bench.clock.advance(10)
    bench.digest()

    (digest,) = bench.told()
    assert sorted((item["schedule"], item["count"]) for item in digest["items"]) == [
        ("one", 5),
        ("two", 5),
    ]
    assert {item["event"] for item in digest["items"]} == {"missed"}


@pytest.mark.parametrize(
    ("end", "told"),
    [(None, ["late"]), (Verdict.SUCCESS, []), (Verdict.FAILURE, ["failure"]), ("cancel", [])],
)
def test_a_scheduled_job_that_has_not_succeeded_in_time_is_late(
    database: Database, tmp_path: Path, end: Verdict | str | None, told: list[str]
) -> None:
    bench = telling(database, tmp_path, a_route(on=("failure", "late"), late_after_s=3600.0))
    job = bench.ask("backup")
    bench.settle()
    with database.transaction():
        bench.notifications.scheduled("backup", job, bench.clock.now())
    if isinstance(end, Verdict):
        bench.turn(bench.ended(bench.engine.started["k1"][-1], end))
    elif end == "cancel":
        bench.dispatcher.cancel(job, bench.clock.now())
        bench.turn(bench.ended(bench.engine.started["k1"][-1], Verdict.CANCELLED))
    bench.start(bench.plan)
    bench.clock.advance(3599)
    assert not bench.notifications.is_due(bench.clock.now())
    bench.clock.advance(1)
    bench.digest()
    bench.clock.advance(10)
    if end is None:
        bench.digest()

    assert bench.events() == told
    assert bench.notifications.next_due() is None
    if end is None:
        (notice,) = bench.told()
        assert (notice["id"], notice["state"], notice["late_s"]) == (job, "STARTED", 3600.0)


def test_a_busy_host_tells_all_the_same(database: Database, tmp_path: Path) -> None:
    plan = a_plan(routes=(a_route(),), settings=DaemonSettings(max_load=1.0))
    bench = Telling(database, tmp_path, plan)
    bench.host.load = 99.0
    allowances = Allowances(database, bench.host)
    allowances.take(bench.plan)
    allowances.begin(bench.clock.now())

    assert allowances.of(ready_line("command", "default")) == 0
    assert allowances.of(ready_line("command", QUEUE)) > 0


def test_an_end_is_stored_although_it_cannot_be_told(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = telling(database, tmp_path)

    def fail(_route: str, _notice: str) -> NewJob:
        raise NotFound("there is no such task any more")

    monkeypatch.setattr(bench, "make", fail)
    job = bench.run()

    assert job_rows.state(database, job) == "FAILURE"
    assert bench.told() == []
