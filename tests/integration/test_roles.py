"""Who may do what: every request of the protocol, tried by real processes of every kind of user.

The page ``docs/reference/who-may-do-what.md`` is made of what came of it; JOBCTL_REWRITE_SNAPSHOTS=1 writes it
anew.
"""

from __future__ import annotations

import codecs
import dataclasses
import json
import os
import socket
import tempfile
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest

from jobctl.client import Client
from jobctl.clock import SystemClock
from jobctl.daemon.handlers import HANDLERS
from jobctl.daemon.handlers.store import backup
from jobctl.daemon.loop import Loop
from jobctl.daemon.roles import LOOKS, RIGHTS, Right, Role, access_by, authorise
from jobctl.daemon.server import Server
from jobctl.errors import JobctlError, NotAllowed, PlanError
from jobctl.plan import DaemonSettings
from jobctl.protocol import requests
from jobctl.protocol.requests import REQUESTS, Hello
from jobctl.store import statements
from jobctl.store.database import open_database
from tests.docs.pages import ROOT
from tests.support.builders import a_job, submitted
from tests.support.daemon import running_daemon
from tests.support.users import NOBODY, as_nobody
from tests.support.waiting import PATIENCE
from tests.support.wire import HELLO, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become others")

OWNER, GROUP, OTHER_GROUP = 41_001, 41_100, 41_101
PEOPLE: dict[str, tuple[int, list[int]]] = {
    "root": (0, []),
    "owner": (OWNER, []),
    "administrator": (41_002, [GROUP]),
    "seer": (41_003, [OTHER_GROUP, GROUP]),
    "member": (41_004, [7, 8, GROUP]),
    "stranger": (41_005, [OTHER_GROUP]),
}
"""Uid and groups of whom the daemon meets; it is the owner's."""

SQL = Path(statements.__file__).with_name("sql")

SETTINGS = DaemonSettings(
    socket_group=str(GROUP), allow_administer=("41002",), allow_see=(f"@{OTHER_GROUP}",)
)
_VALUES: dict[Any, Any] = {
    int: 1,
    float: 1.0,
    str: "1",
    bool: True,
    dict[str, Any]: {},
    list[int]: [1],
}


def tried(job: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every request once, with the least that it must hold; those about jobs about this one."""
    for name, kind in REQUESTS.items():
        if kind is Hello:
            continue
        frame: dict[str, Any] = {"do": name}
        hints = get_type_hints(kind)
        for field in dataclasses.fields(kind):  # type: ignore[arg-type]
            if field.default is dataclasses.MISSING:
                frame[field.name] = _VALUES.get(hints[field.name], [])
        if "job" in frame:
            frame["job"] = job
        if name == "wait":
            frame["jobs"] = [job]
        if name == "why":
            frame["name"] = str(job)
        if name == "workflow":
            frame["workflow"] = job
        if name == "inspect":
            yield from ((f"{name} {what}", {**frame, "what": what}) for what in LOOKS)
        else:
            yield name, frame
    yield "why SCHEDULE", {"do": "why", "name": "nightly"}
    yield "submit --after", {"do": "submit", "jobs": [{"task": "a", "after": [job]}]}


class House:
    """A daemon's server, store and judgement, run by the owner; what is allowed is answered with ``{}``."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "sock"
        self.jobs = {name: number + 1 for number, name in enumerate(PEOPLE)}
        ready, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._serve(folder, tell)
            except BaseException:  # noqa: BLE001 -- nobody else tells of it
                traceback.print_exc()
            os._exit(1)
        os.close(tell)
        assert os.read(ready, 1) == b"."
        os.close(ready)

    def _serve(self, folder: Path, tell: int) -> None:
        os.chown(folder, OWNER, GROUP)
        folder.chmod(0o711)
        # The owner may not be able to read the files of this interpreter and of the store's statements, in a
        # clone that lies in a private folder: what it needs is loaded, and the store made, before.
        codecs.lookup("unicode_escape")
        for file in SQL.rglob("*.sql"):
            statements.statement(str(file.relative_to(SQL).with_suffix("")))
        database = open_database(folder / "jobctl.db")
        rows = [a_job(id=job, uid=PEOPLE[name][0]) for name, job in self.jobs.items()]
        submitted(database, *rows)
        become(OWNER, [GROUP])
        loop = Loop(SystemClock())
        access = access_by(SETTINGS, OWNER, gid=GROUP, mode=0o660)
        server = Server(loop, access=access)
        server.listen(self.socket, gid=GROUP, mode=0o660)
        os.write(tell, b".")

        def turn() -> None:
            for call in server.take():
                try:
                    authorise(database, call.connection.role, call.uid, call.request)
                except JobctlError as error:
                    call.refuse(error)
                else:
                    call.answer({})

        loop.run(turn)

    def close(self) -> None:
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def become(uid: int, groups: list[int]) -> None:
    os.setgroups(groups)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def ask_as(name: str, path: Path, frames: list[dict[str, Any]]) -> list[str]:
    """What a process of that user is answered: ``"ok"``, or the code of the error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told: list[str] = []
        try:
            become(*PEOPLE[name])
            try:
                wire = Wire(path)
            except PermissionError:
                told = ["no connection"] * len(frames)
            else:
                for number, frame in enumerate(frames):
                    answer = wire.ask({"id": number, **frame})
                    told.append(answer["error"]["code"] if "error" in answer else "ok")
        except BaseException as error:  # noqa: BLE001 -- it is told, by name
            told = [f"{type(error).__name__}: {error}"]
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    found: list[str] = json.loads(text)
    return found


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    # Short: a socket's address holds 107 bytes.
    with tempfile.TemporaryDirectory(prefix="jobctl-") as folder:
        opened = House(Path(folder))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def found(house: House) -> dict[str, dict[str, tuple[str, str]]]:
    """By request and user: what came of it for a job of his own, and for one of the owner's."""
    table: dict[str, dict[str, tuple[str, str]]] = {}
    for name in PEOPLE:
        answers = []
        for job in (house.jobs[name], house.jobs["owner" if name == "root" else "root"]):
            asked = list(tried(job))
            answers.append(ask_as(name, house.socket, [frame for _, frame in asked]))
            assert len(answers[-1]) == len(asked), answers[-1]
            # Refused for what it is, not for how it is written.
            assert set(answers[-1]) <= {"ok", "not_allowed", "no connection"}
        names = [request for request, _ in tried(house.jobs[name])]
        for request, own, other in zip(names, *answers, strict=True):
            table.setdefault(request, {})[name] = (own, other)
    return table


def word(own: str, other: str) -> str:
    return {("ok", "ok"): "yes", ("ok", "not_allowed"): "own"}.get((own, other), "no")


def test_each_request_needs_a_right() -> None:
    assert RIGHTS.keys() == set(REQUESTS.values()) == {*HANDLERS, Hello}


def test_each_look_of_inspect_needs_a_right() -> None:
    from jobctl.daemon.handlers.inspect import _LOOKS

    assert LOOKS.keys() == _LOOKS.keys()


def test_the_page_says_what_came_of_it(found: dict[str, dict[str, tuple[str, str]]]) -> None:
    page = ROOT / "docs/reference/who-may-do-what.md"
    lines = ["| request | " + " | ".join(PEOPLE) + " |", "|---|" + "---|" * len(PEOPLE)]
    lines += [
        f"| `{request}` | " + " | ".join(word(*answers[name]) for name in PEOPLE) + " |"
        for request, answers in found.items()
    ]
    table = "\n".join(lines)
    text = page.read_text()
    head, _, rest = text.partition("<!-- table -->\n")
    _, _, tail = rest.partition("<!-- end -->")
    expected = f"{head}<!-- table -->\n{table}\n<!-- end -->{tail}"
    if os.environ.get("JOBCTL_REWRITE_SNAPSHOTS") and text != expected:
        page.write_text(expected)
        pytest.fail("the page was written anew: look at it, then run again without rewriting")
    assert text == expected


def test_owner_root_and_whom_they_name_may_do_everything(
    found: dict[str, dict[str, tuple[str, str]]],
) -> None:
    for name in ("root", "owner", "administrator"):
        assert {word(*answers[name]) for answers in found.values()} == {"yes"}


def test_a_stranger_cannot_even_connect(found: dict[str, dict[str, tuple[str, str]]]) -> None:
    assert {answers["stranger"] for answers in found.values()} == {("no connection",) * 2}


def test_what_needs_a_right_is_refused_to_all_who_lack_it(
    found: dict[str, dict[str, tuple[str, str]]],
) -> None:
    expected = {
        Right.MEMBERSHIP: ("yes", "yes"),
        Right.SEE_JOB: ("own", "yes"),
        Right.CHANGE_JOB: ("own", "own"),
        Right.SEE_ALL: ("no", "yes"),
        Right.ADMINISTER: ("no", "no"),
    }
    for request, answers in found.items():
        name, _, what = request.partition(" ")
        if what in ("SCHEDULE", "--after"):
            continue
        right = LOOKS[what] if name == "inspect" else RIGHTS[REQUESTS[name]]
        told = tuple(word(*answers[who]) for who in ("member", "seer"))
        assert told == expected[right], request


def test_a_member_waits_for_jobs_of_his_own_only(
    found: dict[str, dict[str, tuple[str, str]]],
) -> None:
    assert word(*found["submit --after"]["member"]) == "own"
    assert word(*found["why SCHEDULE"]["member"]) == "no"


def test_a_request_that_nobody_has_judged_is_refused() -> None:
    new = SimpleNamespace(do="new")
    with pytest.raises(NotAllowed):
        authorise(None, Role.SEER, 1, new)  # type: ignore[arg-type]


def test_a_backup_is_the_owners_and_roots_alone() -> None:
    """It is a file that the daemon writes with its own rights, wherever its name says."""
    station, call = SimpleNamespace(uid=OWNER), SimpleNamespace(uid=PEOPLE["administrator"][0])
    with pytest.raises(NotAllowed):
        next(backup(station, call, requests.Backup(path="/nowhere")))  # type: ignore[arg-type]


def test_the_socket_is_never_open_wider_than_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobctl.paths import bind_unix_for

    seen = []

    def look(name: str) -> Any:
        real = getattr(Path, name)

        def call(path: Path, *args: Any, **kwargs: Any) -> Any:
            for entry in tmp_path.iterdir():
                found = entry.stat()
                seen.append((entry.name, found.st_gid, found.st_mode & 0o777))
            return real(path, *args, **kwargs)

        return call

    for name in ("chmod", "rename"):
        monkeypatch.setattr(Path, name, look(name))
    before = os.umask(0)
    try:
        listener = bind_unix_for(tmp_path / "s", backlog=1, gid=GROUP, mode=0o660)
    finally:
        os.umask(before)
    monkeypatch.undo()

    hidden = f".s.{os.getpid()}.new"
    assert seen == [(hidden, GROUP, 0o600), (hidden, GROUP, 0o660)]
    end = (tmp_path / "s").stat()
    assert (end.st_gid, end.st_mode & 0o777) == (GROUP, 0o660)
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(tmp_path / "s"))
    client.close()
    listener.close()


def test_a_member_of_the_group_submits_as_himself_and_sees_his_own() -> None:
    """The real daemon, of root, whose socket is open to a group."""
    tables = '[daemon]\nsocket_group = "65534"\n[tasks.who]\ncommand = ["id", "-u"]\n'
    with running_daemon(tables, start=False) as daemon:
        daemon.folder.chmod(0o755)
        daemon.start()
        roots = daemon.ended(daemon.shell("echo secret"))["id"]
        pair = requests.SubmitWorkflow(
            jobs=[{"task": "who"}] * 2, steps=[{}, {"after": [0]}], shape=["chain", 0, 1]
        )
        roots_workflow = daemon.call(pair)["id"]

        def work() -> None:
            client = Client(daemon.socket, timeout_s=60 * PATIENCE)
            line = ["/bin/sh", "-c", "id -u"]
            answer = client.call(
                requests.Submit(jobs=[{"command": line, "cwd": "/"}, {"task": "who"}])
            )
            jobs = [job["id"] for job in answer["jobs"]]
            client.call(requests.Wait(jobs=jobs, timeout_s=60 * PATIENCE))
            seen = client.call(requests.List())["jobs"]
            assert sorted(job["id"] for job in seen) == jobs
            assert client.call(requests.List(count=True)) == {"count": 2}
            tails = [
                client.call(requests.Status(job=job))["attempts"][0]["output_tail"] for job in jobs
            ]
            assert tails == [f"{NOBODY}\n", "0\n"]
            own = client.call(pair)["id"]
            assert [one["id"] for one in client.call(requests.Workflows())["workflows"]] == [own]
            assert client.call(requests.Wait(jobs=[own]))["jobs"][0]["state"] == "SUCCESS"
            for request in (
                requests.Workflow(workflow=roots_workflow),
                requests.Cancel(job=roots_workflow),
                requests.Status(job=roots),
                requests.Cancel(job=roots),
                requests.Reload(),
                requests.Inspect(what="conf"),
                requests.Why(name="who"),
            ):
                try:
                    client.call(request)
                except NotAllowed:
                    continue
                raise AssertionError(request)

        assert as_nobody(work) == "nothing"
        # Who may connect no more is not served any more either.
        daemon.config.write_text('[daemon]\n[tasks.who]\ncommand = ["id", "-u"]\n')
        with pytest.raises(PlanError, match="socket_group cannot change by reload"):
            daemon.call(requests.Reload())


def test_a_group_that_the_host_has_not_is_refused_at_start() -> None:
    with running_daemon('[daemon]\nsocket_group = "no-such-group"\n', start=False) as daemon:
        daemon.launch()
        assert daemon.wait_for_exit() == 78
        daemon.until("its last words", lambda: "no-such-group" in daemon.log())


def test_a_hello_is_all_that_is_answered_before_the_role_is_known(house: House) -> None:
    with Wire(house.socket) as wire:
        assert wire.ask({"id": 1, **{k: v for k, v in HELLO.items() if k != "id"}})["ok"]
    assert requests.Hello in RIGHTS
