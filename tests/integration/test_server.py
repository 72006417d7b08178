"""The socket of a real daemon: whatever one client does, the daemon lives and the others are served."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import stat
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from jobctl.client import Client
from jobctl.daemon.server import OPEN_REQUESTS
from jobctl.errors import (
    Conflict,
    InvalidArguments,
    NotAllowed,
    NotFound,
    ProtocolError,
    UsageError,
    VersionMismatch,
)
from jobctl.protocol import requests
from jobctl.protocol.framing import MAX_FRAME_BYTES
from tests.support.daemon import running_daemon
from tests.support.users import NOBODY, as_nobody
from tests.support.wire import HELLO, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.daemon import Daemon

PING = {"id": 1, "do": "inspect", "what": "ping"}


@pytest.fixture(scope="module")
def shared() -> Iterator[Daemon]:
    """One daemon for all tests that leave nothing behind."""
    with running_daemon("[queues.later]\n") as started:
        yield started


@pytest.fixture
def wire(shared: Daemon) -> Iterator[Wire]:
    with Wire(shared.socket) as connected:
        yield connected


def is_served(daemon: Daemon) -> bool:
    """Somebody else gets an answer."""
    with Wire(daemon.socket) as other:
        return bool(other.ask(PING)["ok"]["pid"] == daemon.pid)


def held_bytes(daemon: Daemon) -> int:
    return int(psutil.Process(daemon.pid).memory_info().rss)


# -- frames -----------------------------------------------------------------------------------------

GARBAGE = [
    b"\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
    b"\x00" * 1000 + b"\n",
    b"\xff\xfe{\x00}\x00\n",
    '{"id":1,"do":"inspect","what":"ping"}\n'.encode("utf-16"),
    b'\xef\xbb\xbf{"id":1,"do":"inspect","what":"ping"}\n',
    b'{"id":1,"do":"inspect","what":"\xff\xfe"}\n',
    b'{"id":1,"do":"inspect","what":"pi\x00ng"}\n',
    b'{"id":1,"do":"inspect"\n',
    b'{"id":1,"do":"inspect","what":"ping"}{}\n',
    b'{"id":1,"do":"next","limit":1,"within_s":NaN}\n',
    b'{"id":1,"do":"next","limit":1,"within_s":-Infinity}\n',
    b"[1,2,3]\n",
    b'"inspect"\n',
    b"null\n",
    b'{"do":"inspect","what":"ping"}\n',
    b'{"id":"one","do":"inspect","what":"ping"}\n',
    b'{"id":true,"do":"inspect","what":"ping"}\n',
    b'{"id":1.5,"do":"inspect","what":"ping"}\n',
    b"[" * 200_000 + b"]" * 200_000 + b"\n",
    b'{"id":' + b"1" * 100_000 + b"}\n",
]


@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_frame_ends_the_connection_and_says_why(shared: Daemon, data: bytes) -> None:
    with Wire(shared.socket) as wire:
        wire.send(data)

        answer = wire.hear()

        assert answer["error"]["code"] == "protocol"
        assert wire.is_ended()
    assert is_served(shared)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"do": "fly"}, "fly"),
    ({"do": None}, "None"),
    ({"do": ["inspect"]}, "inspect"),
    ({}, "None"),
    ({"do": "inspect"}, "what"),
    ({"do": "inspect", "what": "ping", "colour": "red"}, "colour"),
    ({"do": "inspect", "what": 7}, "what"),
    ({"do": "inspect", "what": None}, "what"),
    ({"do": "inspect", "what": "ping", "limit": True}, "limit"),
    ({"do": "inspect", "what": "ping", "limit": 1.0}, "limit"),
    ({"do": "inspect", "what": "ping", "limit": 2**63}, "limit"),
    ({"do": "wait", "jobs": [1, "2"]}, "jobs"),
    ({"do": "wait", "jobs": 1}, "jobs"),
    ({"do": "wait", "jobs": [1], "timeout_s": 1e300}, "timeout_s"),
    ({"do": "submit", "jobs": [7]}, "jobs"),
    ({"do": "submit", "jobs": [{"task": "t", "shell": "rm -rf /"}]}, "shell"),
    ({"do": "submit", "jobs": [{"task": "t", "labels": {"a": 1}}]}, "labels"),
    ({"do": "submit", "jobs": [{"command": "true"}]}, "command"),
    ({"do": "submit", "jobs": [{"command": ["true"], "delay_s": 1e13}]}, "delay_s"),
    ({"do": "pause", "queue": "later", "paused": 1}, "paused"),
]


@pytest.mark.parametrize(("frame", "named"), REFUSED)
def test_a_request_outside_the_schema_is_refused_by_name_and_the_next_is_answered(
    wire: Wire, frame: dict[str, Any], named: str
) -> None:
    answer = wire.ask({"id": 5, **frame})

    assert answer["id"] == 5
    assert answer["error"]["code"] == "protocol"
    assert named in answer["error"]["message"]
    assert wire.ask(PING)["ok"]


def test_infinity_in_another_spelling_is_refused(wire: Wire) -> None:
    wire.send(b'{"id":3,"do":"next","limit":1,"within_s":1e999}\n')

    assert wire.hear()["error"]["code"] == "protocol"


def test_the_first_request_is_a_hello(shared: Daemon) -> None:
    with Wire(shared.socket, greets=False) as wire:
        answer = wire.ask(PING)

        assert "hello" in answer["error"]["message"]
        assert wire.is_ended()


def test_a_client_of_the_future_is_told_the_versions(shared: Daemon) -> None:
    with Wire(shared.socket, greets=False) as wire:
        answer = wire.ask({**HELLO, "protocol": [998, 999], "version": "9.9"})

        assert answer["error"]["code"] == VersionMismatch.code
        assert answer["error"]["exit_code"] == 69
        assert "9.9" in answer["error"]["message"]
        assert wire.ask({**HELLO, "protocol": [1, 999]})["ok"]["protocol"] == 1


def test_a_frame_may_come_a_byte_at_a_time(shared: Daemon) -> None:
    with Wire(shared.socket) as wire:
        for byte in json.dumps(PING).encode() + b"\n":
            wire.send(bytes([byte]))

        assert wire.hear()["ok"]


def test_many_frames_may_come_at_once_and_are_answered_in_order(wire: Wire) -> None:
    wire.say(*({**PING, "id": n} for n in range(1, 501)))

    assert [wire.hear()["id"] for _ in range(500)] == list(range(1, 501))


def test_a_frame_of_almost_the_limit_is_read(shared: Daemon) -> None:
    with Wire(shared.socket) as wire:
        frame = {"id": 1, "do": "inspect", "what": "x" * (MAX_FRAME_BYTES - 100)}

        answer = wire.ask(frame)

    # It is a request like any other; what it asks for does not exist, and is not sent back whole.
    assert answer["error"]["code"] == "usage"
    assert len(json.dumps(answer)) < 5000
    assert is_served(shared)


def test_a_frame_over_the_limit_is_refused_before_its_end(shared: Daemon) -> None:
    with Wire(shared.socket) as wire:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(MAX_FRAME_BYTES // (1 << 20) + 1):
                wire.send(b"x" * (1 << 20))

        answer = wire.hear()

        assert answer is None or "longer than" in answer["error"]["message"]
        assert wire.is_ended()
    assert is_served(shared)


def test_half_a_frame_and_a_hang_up_is_nothing(shared: Daemon) -> None:
    with Wire(shared.socket) as wire:
        wire.send(b'{"id":1,"do":"submit","jobs":[{"command":["/bin/tr')

    assert is_served(shared)
    assert shared.call(requests.List(count=True))["count"] == 0


# -- values -----------------------------------------------------------------------------------------

BAD_JOBS: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"task": "missing"}, NotFound),
    ({"task": "m" * 201}, UsageError),
    ({"task": "m" * 1_000_000}, UsageError),
    ({"task": "a\0b"}, UsageError),
    ({"task": "\ud800"}, UsageError),
    ({"task": ""}, UsageError),
    ({}, UsageError),
    ({"task": "t", "command": ["true"]}, UsageError),
    ({"command": []}, UsageError),
    ({"command": [""]}, UsageError),
    ({"command": ["a\0b"]}, InvalidArguments),
    ({"command": ["\ud800"]}, InvalidArguments),
    ({"command": ["x" * (128 * 1024)]}, InvalidArguments),
    ({"command": ["true"], "env": {"A": "\0"}}, UsageError),
    ({"command": ["true"], "env": {"A": "\ud800"}}, UsageError),
    ({"command": ["true"], "env": {"A=B": "c"}}, UsageError),
    ({"command": ["true"], "env": {"": "c"}}, UsageError),
    ({"command": ["true"], "env": {"JOBCTL_ATTEMPT": "1"}}, UsageError),
    ({"command": ["true"], "cwd": "relative"}, UsageError),
    ({"command": ["true"], "cwd": "/a\0b"}, UsageError),
    ({"command": ["true"], "umask": -1}, UsageError),
    ({"command": ["true"], "umask": 0o1000}, UsageError),
    ({"command": ["true"], "queue": "../x"}, UsageError),
    ({"command": ["true"], "queue": ""}, UsageError),
    ({"command": ["true"], "priority": 40_000}, UsageError),
    ({"command": ["true"], "retries": -1}, UsageError),
    ({"command": ["true"], "timeout_s": -1}, UsageError),
    ({"command": ["true"], "key": ""}, UsageError),
    ({"command": ["true"], "key": "k" * 201}, UsageError),
    ({"command": ["true"], "key": "a\nb"}, UsageError),
    ({"command": ["true"], "key": "\ud800"}, UsageError),
    ({"command": ["true"], "labels": {"": "x"}}, UsageError),
    ({"command": ["true"], "labels": {"a": "b\x1b[31m"}}, UsageError),
    ({"command": ["true"], "labels": {"a": "\u202e"}}, UsageError),
    ({"command": ["true"], "eta": -1}, UsageError),
    ({"command": ["true"], "eta": 2**62}, UsageError),
    ({"command": ["true"], "delay_s": 1e12}, UsageError),
    ({"command": ["true"], "expires_at": 1}, UsageError),
    ({"command": ["true"], "args": ["x"]}, UsageError),
]


@pytest.mark.parametrize(("job", "kind"), BAD_JOBS, ids=range(len(BAD_JOBS)))
def test_a_job_that_cannot_be_is_refused_and_nothing_of_its_request_is_stored(
    shared: Daemon, job: dict[str, Any], kind: type[Exception]
) -> None:
    good = {"command": ["/bin/true"], "cwd": "/", "delay_s": 9999.0}

    with pytest.raises(kind):
        shared.submit_many([good, job, good])

    assert shared.call(requests.List(count=True))["count"] == 0


@pytest.mark.parametrize(
    "request_",
    [
        requests.Inspect(what="ping", limit=0),
        requests.Inspect(what="ping", limit=-1),
        requests.Inspect(what="everything"),
        requests.List(limit=0),
        requests.List(limit=1001),
        requests.List(states=["SLEEPING"]),
        requests.Next(limit=0),
        requests.Wait(jobs=[]),
        requests.Stop(mode="gently"),
        requests.Submit(jobs=[{"command": ["true"]}] * 10_001),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    shared: Daemon, request_: requests.Request
) -> None:
    with pytest.raises(UsageError):
        shared.call(request_)


@pytest.mark.parametrize("job", [0, -1, 12345, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize(
    "kind", [requests.Status, requests.Result, requests.Cancel, requests.Retry, requests.Logs]
)
def test_an_unknown_id_is_an_error_and_never_pending(
    shared: Daemon, kind: type[requests.Request], job: int
) -> None:
    with pytest.raises(NotFound) as refused:
        shared.call(kind(job=job))  # type: ignore[call-arg]

    assert refused.value.exit_code == 4


# -- keys -------------------------------------------------------------------------------------------


def later(**others: Any) -> dict[str, Any]:
    return {"command": ["/bin/true"], "cwd": "/", "delay_s": 9999.0, **others}


def answer_of(daemon: Daemon, *jobs: dict[str, Any]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = daemon.call(requests.Submit(jobs=list(jobs)))["jobs"]
    return answers


def test_the_same_key_gives_the_same_job_also_after_a_kill(daemon: Daemon) -> None:
    (first,) = answer_of(daemon, later(key="k"))

    (again,) = answer_of(daemon, later(key="k"))
    daemon.kill()
    daemon.start()
    (after,) = answer_of(daemon, later(key="k"))

    assert (first["duplicate"], again["duplicate"], after["duplicate"]) == (False, True, True)
    assert first["id"] == again["id"] == after["id"]
    assert daemon.call(requests.List(count=True))["count"] == 1


def test_the_same_key_twice_in_one_request_is_one_job(daemon: Daemon) -> None:
    first, second = answer_of(daemon, later(key="k"), later(key="k"))

    assert (first["id"], second["duplicate"]) == (second["id"], True)


def test_the_same_key_for_another_request_is_a_conflict_and_stores_nothing(daemon: Daemon) -> None:
    (first,) = answer_of(daemon, later(key="k"))

    with pytest.raises(Conflict, match=str(first["id"])):
        answer_of(daemon, later(), later(key="k", priority=5))

    assert daemon.call(requests.List(count=True))["count"] == 1


def test_the_answer_to_a_key_tells_the_state_of_its_job(daemon: Daemon) -> None:
    job = {"command": ["/bin/true"], "cwd": "/", "key": "k"}
    (first,) = answer_of(daemon, job)
    daemon.wait(first["id"])

    assert answer_of(daemon, job) == [{"id": first["id"], "state": "SUCCESS", "duplicate": True}]


def test_ids_rise_and_none_is_given_twice(daemon: Daemon) -> None:
    first = [answer["id"] for answer in answer_of(daemon, *[later()] * 5)]
    daemon.kill()
    daemon.start()
    second = [answer["id"] for answer in answer_of(daemon, *[later()] * 5)]

    assert [*first, *second] == sorted({*first, *second})


# -- peers ------------------------------------------------------------------------------------------


def test_the_socket_is_its_owners_alone_from_birth(shared: Daemon) -> None:
    """The mode is set before the name exists (`paths.bind_unix`); here only the end is looked at."""
    found = shared.socket.stat()

    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_uid == os.geteuid()


def test_bind_makes_no_name_with_another_mode(tmp_path: Path) -> None:
    """Under the most careless umask the file's first mode is the last."""
    from jobctl.paths import bind_unix

    before = os.umask(0)
    try:
        listener = bind_unix(tmp_path / "s", backlog=1)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    listener.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_another_user_cannot_connect(shared: Daemon) -> None:
    shared.folder.chmod(0o711)

    told = as_nobody(lambda: Client(shared.socket).connect())

    assert told.startswith(NotAllowed.__name__)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_peer_that_is_not_allowed_is_refused_by_its_uid_whatever_the_mode_of_the_socket(
    shared: Daemon,
) -> None:
    shared.folder.chmod(0o711)
    shared.socket.chmod(0o666)
    try:
        told = as_nobody(lambda: Client(shared.socket).connect())
    finally:
        shared.socket.chmod(0o600)

    assert told.startswith(NotAllowed.__name__)
    assert str(NOBODY) in told


# -- many, slow and silent clients ------------------------------------------------------------------


def test_two_thousand_silent_connections_do_not_keep_others_out(daemon: Daemon) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    silent = []
    try:
        for _ in range(2000):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(daemon.socket))
            silent.append(connection)

        assert is_served(daemon)
        job = daemon.shell("true")
        assert daemon.ended(job)["state"] == "SUCCESS"
    finally:
        for connection in silent:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert is_served(daemon)


def test_a_daemon_with_few_descriptors_turns_clients_away_and_serves_on(daemon: Daemon) -> None:
    """Silent connections take all that it has; they give way to one that says hello."""
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (200, 200))
    silent = []
    try:
        for _ in range(400):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(daemon.socket))
            silent.append(connection)
        spent = psutil.Process(daemon.pid).cpu_times()
        daemon.until(
            "the daemon to be at rest", lambda: psutil.Process(daemon.pid).status() == "sleeping"
        )
        again = psutil.Process(daemon.pid).cpu_times()
        assert again.user + again.system - spent.user - spent.system < 2.0
    finally:
        for connection in silent:
            connection.close()
    daemon.until("the daemon to serve", lambda: is_served(daemon))


def turns(daemon: Daemon) -> int:
    return int(daemon.call(requests.Inspect(what="stats"))["turns"])


@pytest.mark.slow
def test_a_client_that_never_reads_is_not_read_from_and_costs_no_turns(daemon: Daemon) -> None:
    daemon.submit_many([later(labels={"a": "x" * 200}) for _ in range(1000)])
    with Wire(daemon.socket) as wire:
        # More answers than socket buffers hold.
        wire.say(*({"id": n, "do": "list", "limit": 1000} for n in range(40)))
        daemon.until("a job beside it", lambda: daemon.ended(daemon.shell("true")))
        before = turns(daemon)

        job = daemon.ended(daemon.shell("true"))

        assert job["state"] == "SUCCESS"
        # A spinning loop makes thousands.
        assert turns(daemon) - before < 200
        # When it reads at last, it gets every answer whole.
        found = [wire.hear() for _ in range(40)]
    assert sorted(answer["id"] for answer in found) == list(range(40))
    assert all(len(answer["ok"]["jobs"]) == 1000 for answer in found)


def test_a_client_that_goes_without_reading_costs_nothing(daemon: Daemon) -> None:
    daemon.submit_many([later(labels={"a": "x" * 200}) for _ in range(1000)])
    for _ in range(5):
        with Wire(daemon.socket) as wire:
            wire.say(*({"id": n, "do": "list", "limit": 1000} for n in range(40)))
    before = turns(daemon)

    assert daemon.ended(daemon.shell("true"))["state"] == "SUCCESS"
    assert turns(daemon) - before < 400


def test_waits_without_end_on_one_connection_are_bounded(daemon: Daemon) -> None:
    (job,) = daemon.submit_many([later()])
    waits = 3 * OPEN_REQUESTS
    with Wire(daemon.socket) as wire:
        wire.socket.settimeout(0.5)
        # At some point nothing is taken any more: that is the point.
        with contextlib.suppress(TimeoutError):
            for n in range(100):
                wire.say(
                    *({"id": n * waits + m, "do": "wait", "jobs": [job]} for m in range(waits))
                )

        found = daemon.call(requests.Inspect(what="stats"))

        # A whole read may be on its way when the limit is reached.
        assert OPEN_REQUESTS <= found["waiting_clients"] < OPEN_REQUESTS + 10_000
        assert is_served(daemon)
    daemon.until(
        "the waits to be forgotten",
        lambda: daemon.call(requests.Inspect(what="stats"))["waiting_clients"] == 0,
    )


def test_unfinished_frames_have_a_limit_together(daemon: Daemon) -> None:
    wires = [Wire(daemon.socket) for _ in range(40)]
    before = held_bytes(daemon)
    try:
        for wire in wires:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for _ in range(15):
                    wire.send(b"x" * (1 << 20))

        assert is_served(daemon)
        # 600 MiB were sent, none of it ends.
        assert held_bytes(daemon) - before < 450 << 20
    finally:
        for wire in wires:
            wire.close()


def test_a_frame_in_single_bytes_costs_no_more_than_its_length(daemon: Daemon) -> None:
    before = held_bytes(daemon)
    with Wire(daemon.socket) as wire:
        # In pieces as small as the kernel hands them over while the daemon keeps up.
        for _ in range(20_000):
            wire.send(b"x")

        assert is_served(daemon)
        assert held_bytes(daemon) - before < 16 << 20


def test_a_half_closed_client_still_gets_its_answers(daemon: Daemon) -> None:
    with Wire(daemon.socket) as wire:
        wire.say(PING)
        wire.half_close()

        answer = wire.hear()

    assert answer is None or answer["ok"]["pid"] == daemon.pid
    assert is_served(daemon)


# -- a fault of ours --------------------------------------------------------------------------------


def test_the_protocol_errors_reach_a_client_as_their_type(shared: Daemon) -> None:
    client = Client(shared.socket, timeout_s=20)
    client.connect()
    with pytest.raises(ProtocolError):
        client.call(requests.Inspect(what=7))  # type: ignore[arg-type]
    client.close()
