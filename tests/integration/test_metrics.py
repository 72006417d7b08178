"""Metrics of a running daemon: on the socket, on a port, in a file; and what alerts and dashboard ask for."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.clock import SECOND, SystemClock
from jobctl.daemon.loop import Loop
from jobctl.daemon.metrics import listener as listening
from jobctl.daemon.metrics.listener import Listener
from jobctl.daemon.metrics.publishing import Publishing
from jobctl.plan.tables import MetricsSettings
from jobctl.protocol import requests
from jobctl.store import jobs as job_rows
from tests.support import exposition
from tests.support.beating import every
from tests.support.daemon import running_daemon
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tests.support.asking import Asking
    from tests.support.beating import Beating

ROOT = Path(__file__).parents[2]
CONFIG = """
[daemon]
imports = []
[metrics]
textfile = "{folder}/jobctl.prom"
listen = "127.0.0.1:{port}"
[tasks.works]
command = ["true"]
[tasks.fails]
command = ["sh", "-c", "exit 3"]
[tasks.often]
command = ["true"]
every = "1s"
[tasks.adds]
function = "operator:add"
"""


def text_of(asking: Asking) -> str:
    return str(asking.ask(requests.Metrics())["text"])


def read(asking: Asking) -> dict[str, exposition.ReadFamily]:
    return exposition.read(text_of(asking))


# -- of a store and a beat --------------------------------------------------------------------------


def test_schedules_tell_their_next_run_and_when_they_are_late(
    beating: Beating, asking: Asking
) -> None:
    beating.take(every("1h"))
    next_at = beating.clock.now() / SECOND + 3600
    before = read(asking)
    beating.clock.advance(3600 + 60)

    after = read(asking)

    assert before["jobctl_task_next_run_timestamp_seconds"].value(task="backup") == next_at
    assert before["jobctl_task_late"].value(task="backup") == 0
    assert after["jobctl_task_late"].value(task="backup") == 1
    assert after["jobctl_beat_lag_seconds"].value() == 60
    assert after["jobctl_schedules"].value(state="active") == 1


def test_runs_before_the_daemon_are_remembered(beating: Beating, asking: Asking) -> None:
    beating.take(every("1h"))
    beating.after(3600)
    beating.begin_all()
    beating.end_all()
    success_at = beating.clock.now() / SECOND
    beating.after(3600)
    beating.begin_all()
    with beating.database.transaction():
        for job in job_rows.started(beating.database):
            now = beating.clock.now()
            job_rows.fail(
                beating.database,
                id=job.id,
                token=job.token,
                failures=1,
                losses=0,
                reason="failed",
                now=now,
            )

    found = read(asking)

    succeeded = found["jobctl_task_last_success_timestamp_seconds"]
    assert succeeded.value(task="backup") == success_at
    assert found["jobctl_task_last_run_success"].value(task="backup") == 0
    last = found["jobctl_task_last_run_timestamp_seconds"]
    assert last.value(task="backup") == success_at + 3600


def test_queues_tell_what_waits_and_for_how_long(beating: Beating, asking: Asking) -> None:
    beating.take(every("1h"))
    beating.after(3600)
    beating.clock.advance(7)

    found = read(asking)

    assert found["jobctl_queue_jobs"].value(queue="default", state="ready") == 1
    assert found["jobctl_queue_oldest_seconds"].value(queue="default") == 7


def test_many_schedules_are_told_in_slices(beating: Beating, asking: Asking) -> None:
    beating.take(*(every("1h", name=f"s{number}") for number in range(1200)))

    text_of(asking)

    assert asking.slices > 2


def test_instants_that_made_no_job_are_counted_once_committed(
    beating: Beating, asking: Asking
) -> None:
    beating.take(every("1h"))
    beating.after(3600)
    beating.after(3600)

    fates = beating.beat.take_fates()

    assert fates == {("backup", "skipped"): 1}
    assert beating.beat.take_fates() == {}


# -- the listener -----------------------------------------------------------------------------------


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop(SystemClock())
    yield made
    made.close()


def exposing(is_open: bool) -> Generator[None, None, str]:
    yield
    return "open" if is_open else "old"


def spin(loop: Loop, step: Callable[[float], None], until: Callable[[], object]) -> None:
    """Turns of a loop until something is so."""
    clock = SystemClock()
    end = clock.monotonic() + 20 * PATIENCE

    def turn() -> float | None:
        step(clock.monotonic())
        if until() or clock.monotonic() > end:
            loop.end()
        return clock.monotonic() + 0.01

    loop._is_ended = False
    loop.run(turn)
    assert until()


def ask(loop: Loop, listener: Listener, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", listener.port)) as client:
        client.sendall(sent)
        client.setblocking(False)
        came = bytearray()

        def is_over() -> bool:
            try:
                data = client.recv(65536)
            except BlockingIOError:
                return False
            except ConnectionResetError:
                return True
            came.extend(data)
            return not data

        spin(loop, listener.step, is_over)
    return bytes(came)


@pytest.fixture
def listener(loop: Loop) -> Iterator[Listener]:
    made = Listener("127.0.0.1:0", loop=loop, clock=SystemClock(), expose=exposing)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        ("GET /metrics HTTP/1.1", "200", "old"),
        ("GET /metrics?x=1 HTTP/1.0", "200", "old"),
        (
            "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=1.0.0",
            "200",
            "open",
        ),
        ("HEAD /metrics HTTP/1.1", "200", ""),
        ("GET / HTTP/1.1", "200", "jobctl: metrics are at /metrics\n"),
        ("GET /etc/passwd HTTP/1.1", "404", "jobctl: metrics are at /metrics\n"),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 0", "405", ""),
        ("nonsense", "400", ""),
        ("GET /metrics HTTP/2", "400", ""),
        ("GET /" + "x" * 9000, "431", ""),
    ],
)
def test_a_request_is_answered_once(
    loop: Loop, listener: Listener, sent: str, status: str, body: str
) -> None:
    came = ask(loop, listener, f"{sent}\r\n\r\n".encode()).decode()

    head, _, found = came.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert found == body
    assert "Connection: close" in head
    kind = "openmetrics-text" if body == "open" else "text/plain; version=0.0.4"
    assert kind in head
    length = re.search(r"Content-Length: (\d+)", head)
    assert length is not None
    assert int(length[1]) == (3 if sent.startswith("HEAD") else len(body))


def test_a_client_that_says_nothing_is_ended_in_time(loop: Loop, listener: Listener) -> None:
    with socket.create_connection(("127.0.0.1", listener.port)):
        spin(loop, listener.step, lambda: listener.deadline() is not None)
        ends_at = listener.deadline()
        assert ends_at is not None

        listener.step(ends_at)

        assert listener.deadline() is None


def test_too_many_clients_end_the_oldest(loop: Loop, listener: Listener) -> None:
    clients = [
        socket.create_connection(("127.0.0.1", listener.port))
        for _ in range(listening.MOST_CONNECTIONS + 3)
    ]
    try:
        first = clients[0]
        first.setblocking(False)

        def is_ended() -> bool:
            try:
                return first.recv(1) == b""
            except BlockingIOError:
                return False

        spin(loop, listener.step, is_ended)
        assert len(listener._scrapes) <= listening.MOST_CONNECTIONS
    finally:
        for client in clients:
            client.close()


# -- publishing -------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_said_once_and_tried_again(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        publishing = Publishing(loop=loop, clock=SystemClock(), expose=exposing)
        publishing.take_settings(MetricsSettings(listen=f"127.0.0.1:{port}"))
        for _ in range(3):
            due_at = publishing.deadline(0.0)
            assert due_at is not None
            publishing.step(due_at)
        assert publishing.port is None
        assert caplog.text.count("cannot be listened at") == 1
    due_at = publishing.deadline(0.0)
    assert due_at is not None

    publishing.step(due_at)

    assert publishing.port == port
    publishing.take_settings(MetricsSettings())
    assert publishing.port is None
    assert publishing.deadline(0.0) is None


def test_a_file_that_cannot_be_written_is_said_once(
    loop: Loop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publishing = Publishing(loop=loop, clock=SystemClock(), expose=exposing)
    path = tmp_path / "folder" / "jobctl.prom"
    publishing.take_settings(MetricsSettings(textfile=str(path), textfile_every_s=60.0))

    def write_once() -> None:
        now = publishing.deadline(SystemClock().monotonic())
        assert now is not None
        publishing.step(now + 60)
        publishing.step(now)
        publishing.step(now)

    write_once()
    write_once()
    path.parent.mkdir()
    write_once()

    assert caplog.text.count("cannot be written") == 1
    assert path.read_text() == "old"


# -- of a whole daemon ------------------------------------------------------------------------------


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def scrape(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=60 * PATIENCE) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        parts = []
        while data := client.recv(65536):
            parts.append(data)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    return body.decode()


@pytest.fixture
def told() -> dict[str, Any]:
    """What one daemon has told in every way after some runs."""
    with running_daemon(start=False) as daemon:
        port = a_free_port()
        daemon.config.write_text(CONFIG.format(folder=daemon.folder, port=port))
        daemon.start()
        jobs = daemon.submit_many(
            [{"task": "works"}, {"task": "fails"}] + [{"task": "adds", "args": ["1", "2"]}] * 20
        )
        daemon.wait(*jobs, daemon.shell("true"))
        path = daemon.folder / "jobctl.prom"
        daemon.until("the file to be written", path.exists)
        return {
            "socket": daemon.call(requests.Metrics())["text"],
            "open": daemon.call(requests.Metrics(openmetrics=True))["text"],
            "port": scrape(port),
            "file": path.read_text(),
        }


def test_a_daemon_tells_in_every_way_what_has_run(told: dict[str, Any]) -> None:
    for where, text in told.items():
        assert exposition.read(text, is_open=where == "open")["jobctl_up"].value() == 1
    found = exposition.read(told["port"])

    runs = found["jobctl_runs_total"]
    assert runs.value(task="works", state="succeeded") == 1
    assert runs.value(task="fails", state="failed") == 1
    assert runs.value(task="adds", state="succeeded") == 20
    assert runs.value(task="(ad hoc)", state="succeeded") == 1
    assert runs.value(task="works", state="lost") == 0
    assert found["jobctl_run_duration_seconds"].value("_count", task="adds") == 20
    assert found["jobctl_queue_wait_seconds"].value("_count", queue="default") >= 23
    assert found["jobctl_task_last_run_exit_code"].value(task="fails") == 3
    assert found["jobctl_task_last_run_success"].value(task="fails") == 0
    assert found["jobctl_config_last_reload_successful"].value() == 1
    assert found["jobctl_config_last_reload_success_timestamp_seconds"].value() > 0
    # No label holds what has no bound.
    names = {
        label for family in found.values() for _, labels in family.samples for label, _ in labels
    }
    assert names <= {
        *("task", "queue", "state", "group", "kind", "le", "file", "for"),
        *("version", "python", "sqlite"),
    }


# -- what ships -------------------------------------------------------------------------------------


def metrics_in(text: str) -> set[str]:
    """The names of ours in a text, those of parts of histograms without what ends them."""
    found = re.findall(r"\b(?:jobctl|process)_[a-z_]+\b", text)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


@pytest.fixture
def exported(beating: Beating, asking: Asking) -> set[str]:
    """The names of everything that is told: the same for each daemon."""
    beating.take()
    return set(read(asking))


def test_the_dashboard_is_json_and_asks_for_what_there_is(exported: set[str]) -> None:
    path = ROOT / "monitoring/grafana-dashboard.json"
    dashboard = json.loads(path.read_text())

    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(asked) >= 10
    assert set().union(*map(metrics_in, asked)) <= exported
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert all(x + w <= 24 for _, w, x, _ in places)
    assert len(set(places)) == len(places)
    assert dashboard["uid"]
    assert dashboard["schemaVersion"] >= 36


def test_the_alerts_ask_for_what_there_is(exported: set[str]) -> None:
    text = (ROOT / "monitoring/prometheus-alerts.yml").read_text()

    names = re.findall(r"^ +- alert: (\w+)$", text, re.MULTILINE)
    expressions = re.findall(r"^ +expr: (.+)$", text, re.MULTILINE)
    assert len(names) == len(set(names)) == len(expressions) >= 8
    for expression in expressions:
        assert metrics_in(expression) <= exported | {"node_textfile_mtime_seconds"}
        assert expression.count("(") == expression.count(")")
    for part in ("severity:", "summary:", "description:"):
        assert text.count(part) == len(names)
    assert "\t" not in text


def test_the_manual_names_every_metric(exported: set[str]) -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text()

    named = set(re.findall(r"`((?:jobctl|process)_[a-z_]+)`", page))
    assert named == exported
