"""Keepers and their commands: what a command sees, how it is stopped, what becomes of what it leaves."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.protocol import requests
from tests.support.daemon import running_daemon, with_patch
from tests.support.processes import children, descriptors, is_running, pids_in
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

NO_CGROUPS = (
    "from jobctl.engine.local import cgroups; cgroups.find = lambda _: cgroups.Cgroups(None)"
)


OF_GLIBC = 3 << 31
"""Signals 32 and 33 in a mask: glibc keeps them for itself, and its posix_spawn leaves them ignored."""


def run(daemon: Daemon, *command: str, **options: Any) -> str:
    """The output of an ad-hoc command that succeeds."""
    job = daemon.submit(command=list(command), cwd=str(daemon.folder), **options)
    ended = daemon.ended(job)
    assert ended["state"] == "SUCCESS", ended
    return daemon.output(job)


def started(daemon: Daemon, line: str, *, trap: str = "", **options: Any) -> tuple[int, int]:
    """A shell line that is running: the job, and the pid that it said once ``trap`` was set."""
    began = daemon.folder / f"began-{os.urandom(3).hex()}"
    first = f"trap {trap}; " if trap else ""
    job = daemon.shell(f"{first}echo $$ >> {began}; {line}", **options)
    return job, daemon.until("the command to run", lambda: pids_in(began))[0]


def keeper_of(daemon: Daemon, job: int) -> dict[str, Any]:
    (keeper,) = [w for w in daemon.workers("keeper") if job in w["attempts"]]
    return keeper


# -- what a command sees ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_command_gets_exactly_the_environment_that_it_was_given(daemon: Daemon) -> None:
    os.environ["LEAKED"] = "from whoever started the daemon"
    try:
        daemon.kill()
        daemon.environment["LEAKED"] = "from whoever started the daemon"
        daemon.start()
        job = daemon.submit(command=["/usr/bin/env", "-0"], cwd="/", env={"GIVEN": "a b\nc"})
        daemon.ended(job)
        given = dict(part.split("=", 1) for part in daemon.output(job).split("\0")[:-1])
    finally:
        del os.environ["LEAKED"]

    account = pwd.getpwuid(os.geteuid())
    token = given.pop("JOBCTL_ATTEMPT")
    assert len(token) == 16
    assert given == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LOGNAME": account.pw_name,
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "GIVEN": "a b\nc",
        "JOBCTL_JOB_ID": str(job),
        "JOBCTL_ATTEMPT_NUMBER": "1",
    }


def test_a_command_has_its_folder_its_mask_and_three_descriptors(daemon: Daemon) -> None:
    assert run(daemon, "/bin/sh", "-c", "pwd; umask", umask=0o027) == f"{daemon.folder}\n0027\n"
    # ls itself opens the folder that it lists.
    assert run(daemon, "/bin/ls", "/proc/self/fd").split() == ["0", "1", "2", "3"]
    assert run(daemon, "/usr/bin/readlink", "/proc/self/fd/0") == "/dev/null\n"


def test_a_command_starts_with_default_signals_and_leads_its_own_session(daemon: Daemon) -> None:
    text = run(daemon, "/bin/cat", "/proc/self/status", "/proc/self/stat")
    lines = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    masks = [int(lines[name], 16) & ~OF_GLIBC for name in ("SigBlk", "SigIgn", "SigCgt")]
    assert masks == [0, 0, 0]
    fields = text.splitlines()[-1].rpartition(")")[2].split()
    pid, group, session = int(lines["Pid"]), int(fields[2]), int(fields[3])
    assert pid == group == session


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_command_of_another_user_has_that_user_s_ids_and_groups_only() -> None:
    config = """
        [tasks.who]
        command = ["/bin/cat", "/proc/self/status"]
        user = "nobody"
        cwd = "/"
        [tasks.env]
        command = ["/bin/sh", "-c", "umask; ls /proc/self/fd; echo $HOME $USER"]
        user = "nobody"
        cwd = "/"
    """
    with running_daemon(config) as daemon:
        job = daemon.submit(task="who")
        assert daemon.ended(job)["state"] == "SUCCESS"
        text = daemon.output(job)
        lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        account = pwd.getpwnam("nobody")
        assert set(lines["Uid"].split()) == {str(account.pw_uid)}
        assert set(lines["Gid"].split()) == {str(account.pw_gid)}
        groups = set(os.getgrouplist("nobody", account.pw_gid))
        assert {int(word) for word in lines["Groups"].split()} == groups
        # make starts its commands with posix_spawn: what it leaves ignored, nobody can set back.
        for name in ("SigBlk", "SigIgn", "SigCgt"):
            assert int(lines[name], 16) & ~OF_GLIBC == 0, name
        for name in ("CapEff", "CapPrm"):
            assert int(lines[name], 16) == 0, name
        second = daemon.submit(task="env")
        daemon.ended(second)
        assert daemon.output(second) == f"0022\n0\n1\n2\n3\n{account.pw_dir} nobody\n"


def test_a_command_that_does_not_exist_fails_with_127_and_says_so(daemon: Daemon) -> None:
    missing = daemon.ended(daemon.submit(command=["no-such-thing"], cwd="/"))
    folder = daemon.ended(daemon.submit(command=["/bin/true"], cwd="/no/such/folder"))
    barred = daemon.ended(daemon.submit(command=["/etc/passwd"], cwd="/"))

    assert missing["attempts"][0]["exit_code"] == 127
    assert "no-such-thing" in missing["error"]["message"]
    assert folder["attempts"][0]["exit_code"] == 126
    assert "/no/such/folder" in folder["error"]["message"]
    assert barred["attempts"][0]["exit_code"] == 126


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_name_that_is_no_unicode_fails_as_any_other_also_for_another_user() -> None:
    config = '[tasks.odd]\ncommand = ["{1}"]\nuser = "nobody"\ncwd = "/"\n'
    with running_daemon(config) as daemon:
        for name in ("odd-\udcff", "/odd-\udcff"):
            ended = daemon.ended(daemon.submit(task="odd", args=[name]))
            assert ended["attempts"][0]["exit_code"] == 127
        assert len(daemon.workers("keeper")) <= 2


# -- time limits and stops -------------------------------------------------------------------------

STUBBORN_TREE = """
echo $$ >> {pids}
trap '' TERM
sh -c 'trap "" TERM; echo $$ >> {pids}; exec sleep 3600' &
(setsid sh -c 'trap "" TERM; echo $$ >> {pids}; exec sleep 3600' &)
(setsid env -i /bin/sh -c 'trap "" TERM; echo $$ >> {pids}; exec /bin/sleep 3600' &)
while :; do sleep 3600; done
"""


def test_a_cancel_ends_the_whole_tree_before_it_answers() -> None:
    """A tree that ignores TERM and spreads over sessions and environments.

    P13: cancel means gone, and how that is known is recorded.
    """
    with running_daemon(start=False) as daemon:
        pids = daemon.folder / "pids"
        script = daemon.folder / "tree"
        script.write_text(STUBBORN_TREE.format(pids=pids))
        config = f'[tasks.tree]\ncommand = ["/bin/sh", "{script}"]\nstop = "TERM,0.2s,KILL"\n'
        daemon.config.write_text(config)
        daemon.start()
        job = daemon.submit(task="tree")
        tree = daemon.until("the whole tree", lambda: len(pids_in(pids)) == 4 and pids_in(pids))

        answer = daemon.call(requests.Cancel(job=job))

        assert not [pid for pid in tree if is_running(pid)]
        assert answer["gone"] is True
        assert answer["state"] == "REVOKED"
        (attempt,) = daemon.status(job)["attempts"]
        assert attempt["outcome"] == "cancelled"
        assert attempt["proof"] == "subreaper"


@pytest.mark.slow
def test_a_timeout_goes_through_its_stop_sequence() -> None:
    """TERM first: a command that listens may end well; one that does not is killed."""
    config = """
        [tasks.listens]
        shell = "trap 'echo bye; exit 3' TERM; while :; do sleep 0.01; done"
        timeout = "2s"
        stop = "TERM,30s,KILL"
        [tasks.deaf]
        shell = "trap '' TERM; while :; do sleep 0.01; done"
        timeout = "1s"
        stop = "TERM,0.2s,KILL"
        [tasks.interrupted]
        shell = "trap 'echo int' INT; trap 'echo quit; exit 0' QUIT; while :; do sleep 0.01; done"
        timeout = "2s"
        stop = "INT,0.3s,QUIT,30s,KILL"
    """
    with running_daemon(config) as daemon:
        jobs = [daemon.submit(task=name) for name in ("listens", "deaf", "interrupted")]
        listens, deaf, interrupted = (daemon.ended(job)["attempts"][0] for job in jobs)
        assert (listens["outcome"], listens["exit_code"]) == ("timeout", 3)
        assert listens["output_tail"].endswith("bye\n")
        assert (deaf["outcome"], deaf["signal"]) == ("timeout", signal.SIGKILL)
        assert (interrupted["outcome"], interrupted["exit_code"]) == ("timeout", 0)
        assert "int\n" in interrupted["output_tail"]
        assert interrupted["output_tail"].endswith("quit\n")


@pytest.mark.slow
def test_a_keeper_enforces_the_limit_although_no_daemon_runs(daemon: Daemon) -> None:
    job, pid = started(daemon, "exec sleep 3600", timeout_s=1.0)
    daemon.kill()
    daemon.until("the command to be ended", lambda: not is_running(pid))

    daemon.start()

    (attempt,) = daemon.ended(job)["attempts"]
    assert attempt["outcome"] == "timeout"
    assert attempt["signal"] == signal.SIGTERM


def test_a_limit_is_kept_although_the_command_writes_without_end(daemon: Daemon) -> None:
    job = daemon.submit(command=["/usr/bin/yes"], cwd="/", timeout_s=0.5)
    (attempt,) = daemon.ended(job)["attempts"]
    assert attempt["outcome"] == "timeout"
    assert attempt["duration_s"] < 10


@pytest.mark.slow
def test_a_cancel_after_adoption_still_goes_through_the_task_s_sequence() -> None:
    config = """
        [tasks.listens]
        shell = "trap 'exit 5' INT; echo $$ >> began; while :; do sleep 0.01; done"
        cwd = "{folder}"
        stop = "INT,30s,KILL"
    """
    with running_daemon(start=False) as daemon:
        daemon.config.write_text(config.replace("{folder}", str(daemon.folder)))
        daemon.start()
        job = daemon.submit(task="listens")
        daemon.until("the command to run", lambda: pids_in(daemon.folder / "began"))
        daemon.kill()
        daemon.start()

        daemon.call(requests.Cancel(job=job))

        (attempt,) = daemon.ended(job)["attempts"]
        assert (attempt["outcome"], attempt["exit_code"]) == ("cancelled", 5)


# -- what a command leaves -------------------------------------------------------------------------


def leftover_config(how: str) -> str:
    return f"""
        [tasks.leaves]
        shell = "(setsid sh -c 'echo $$ >> $0; exec sleep 3600' $1 >/dev/null 2>&1 &); until [ -s $1 ]; do sleep 0.01; done; echo done"
        leftover = "{how}"
        cwd = "/"
    """


@pytest.mark.slow
def test_what_a_command_leaves_is_left_and_its_keeper_stays_with_it() -> None:
    with running_daemon(leftover_config("leave")) as daemon:
        pids = daemon.folder / "pids"
        ended = daemon.ended(daemon.submit(task="leaves", args=[str(pids)]))
        assert ended["attempts"][0]["output_tail"] == "done\n"
        (left,) = pids_in(pids)
        assert is_running(left)
        (keeper,) = daemon.until(
            "the keeper to say so", lambda: [w for w in daemon.workers("keeper") if w["leftovers"]]
        )
        assert left in children(keeper["pid"])

        daemon.kill()
        daemon.start()

        daemon.until(
            "the keeper to be found again with what it keeps",
            lambda: keeper["pid"] in [w["pid"] for w in daemon.workers("keeper") if w["leftovers"]],
        )
        # It is not counted: other commands run.
        assert run(daemon, "/bin/echo", "other") == "other\n"
        os.kill(left, signal.SIGKILL)
        daemon.until(
            "the keeper to be free", lambda: not [w for w in daemon.workers() if w["leftovers"]]
        )


def test_what_a_command_leaves_is_killed_before_its_attempt_ends() -> None:
    with running_daemon(leftover_config("kill")) as daemon:
        pids = daemon.folder / "pids"
        ended = daemon.ended(daemon.submit(task="leaves", args=[str(pids)]))
        assert ended["state"] == "SUCCESS"
        assert not is_running(pids_in(pids)[0])


def test_an_attempt_waits_for_what_its_command_leaves_and_can_be_cancelled_then() -> None:
    with running_daemon(leftover_config("wait")) as daemon:
        pids, second = daemon.folder / "pids", daemon.folder / "second"
        job = daemon.submit(task="leaves", args=[str(pids)])
        (left,) = daemon.until("what it leaves", lambda: pids_in(pids))
        keeper = keeper_of(daemon, job)
        daemon.until("only that to be left", lambda: set(children(keeper["pid"])) == {left})
        assert daemon.status(job)["state"] == "STARTED"
        os.kill(left, signal.SIGKILL)
        assert daemon.ended(job)["state"] == "SUCCESS"
        job = daemon.submit(task="leaves", args=[str(second)])
        (left,) = daemon.until("what it leaves", lambda: pids_in(second))
        assert daemon.call(requests.Cancel(job=job))["gone"] is True
        assert not is_running(left)


# -- deaths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_cgroup", [True, False])
def test_a_killed_keeper_s_command_is_ended_before_its_attempt_is_lost(has_cgroup: bool) -> None:
    with running_daemon(start=False) as daemon:
        if not has_cgroup:
            daemon.launcher = with_patch(NO_CGROUPS)
        daemon.start()
        job, pid = started(daemon, "sleep 3600 & sleep 3600")
        keeper = keeper_of(daemon, job)["pid"]
        sleeping = daemon.until("both sleeps", lambda: len(children(pid)) == 2 and children(pid))

        os.kill(keeper, signal.SIGKILL)

        (attempt,) = daemon.ended(job)["attempts"]
        assert attempt["outcome"] == "lost"
        assert attempt["error"]["message"] == "its keeper was killed by SIGKILL"
        assert not [p for p in (pid, *sleeping) if is_running(p)]
        proof = attempt["proof"]
        assert proof in (("cgroup", "unproved") if has_cgroup else ("unproved",))


def test_a_keeper_killed_without_a_daemon_is_found_by_the_next_one(daemon: Daemon) -> None:
    job, pid = started(daemon, "exec sleep 3600")
    keeper = keeper_of(daemon, job)["pid"]
    daemon.kill()
    os.kill(keeper, signal.SIGKILL)

    daemon.start()

    (attempt,) = daemon.ended(job)["attempts"]
    assert attempt["outcome"] == "lost"
    assert not is_running(pid)


def test_a_command_that_its_keeper_never_began_is_released_and_runs_elsewhere(
    daemon: Daemon,
) -> None:
    """The keeper is stopped before the order comes and killed before it can read it."""
    (keeper,) = daemon.until(
        "an idle keeper",
        lambda: [w for w in daemon.workers("keeper") if w["phase"] == "serving"],
    )
    os.kill(keeper["pid"], signal.SIGSTOP)
    job = daemon.shell("echo once >> ran")
    daemon.until("the keeper to have it", lambda: job in keeper_of(daemon, job)["attempts"])

    os.kill(keeper["pid"], signal.SIGKILL)

    ended = daemon.ended(job)
    assert [attempt["outcome"] for attempt in ended["attempts"]] == ["success"]
    assert (daemon.folder / "ran").read_text() == "once\n"


def test_left_overs_of_an_attempt_that_has_ended_survive_their_keeper(daemon: Daemon) -> None:
    pids = daemon.folder / "pids"
    job = daemon.shell(
        f"(setsid sh -c 'echo $$ >> {pids}; exec sleep 3600' >/dev/null 2>&1 &); until [ -s {pids} ]; do sleep 0.01; done"
    )
    assert daemon.ended(job)["state"] == "SUCCESS"
    (left,) = pids_in(pids)
    try:
        (keeper,) = [w for w in daemon.workers("keeper") if w["leftovers"]]
        os.kill(keeper["pid"], signal.SIGKILL)
        daemon.until(
            "the keeper to be buried",
            lambda: keeper["pid"] not in [w["pid"] for w in daemon.workers()],
        )
        assert is_running(left)
        assert len(daemon.status(job)["attempts"]) == 1
    finally:
        os.kill(left, signal.SIGKILL)


def test_keepers_and_workers_take_term_int_and_hup_and_go_on(daemon: Daemon) -> None:
    job, pid = started(daemon, "while :; do sleep 0.01; done", trap="'exit 4' USR1")
    keeper = keeper_of(daemon, job)["pid"]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(keeper, number)
    os.kill(pid, signal.SIGUSR1)
    assert daemon.ended(job)["attempts"][0]["exit_code"] == 4


# -- how many keepers ------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_stopped_keeper_that_was_adopted_keeps_no_command_from_running(daemon: Daemon) -> None:
    job, _ = started(daemon, "exec sleep 3600")
    keeper = keeper_of(daemon, job)["pid"]
    os.kill(keeper, signal.SIGSTOP)
    daemon.kill()
    daemon.start()
    try:
        assert run(daemon, "/bin/echo", "meanwhile") == "meanwhile\n"
    finally:
        os.kill(keeper, signal.SIGCONT)


def test_keepers_beyond_a_few_go_when_they_have_had_nothing_to_do_for_a_while() -> None:
    patch = "import jobctl.engine.local.births as births; births.IDLE_S = 0.3"
    with running_daemon(start=False) as daemon:
        daemon.launcher = with_patch(patch)
        daemon.start()
        go = daemon.folder / "go"
        jobs = [daemon.shell(f"until [ -e {go} ]; do sleep 0.02; done") for _ in range(12)]
        daemon.until("a keeper for each", lambda: daemon_busy(daemon) == 12)
        go.touch()
        daemon.wait(*jobs)
        daemon.until("most of them to go", lambda: len(daemon.workers("keeper")) == 4)


def daemon_busy(daemon: Daemon) -> int:
    return sum(bool(w["attempts"]) for w in daemon.workers("keeper"))


def test_commands_of_a_group_never_exceed_its_limit() -> None:
    with running_daemon("[workers.default]\ncommands = 3\n") as daemon:
        line = "n=$(ls running 2>/dev/null | wc -l); mkdir -p running; touch running/$$; echo $(ls running | wc -l); sleep 0.05; rm running/$$"
        jobs = [daemon.shell(line) for _ in range(12)]
        daemon.wait(*jobs)
        counts = [int(daemon.output(job)) for job in jobs]
        assert max(counts) == 3


# -- nothing is leaked -----------------------------------------------------------------------------


def template_of(worker: int) -> int:
    return int(Path(f"/proc/{worker}/stat").read_bytes().rpartition(b")")[2].split()[1])


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_commands_leave_no_descriptor_and_no_zombie(count: int) -> None:
    with running_daemon("[workers.default]\ncommands = 1\n") as daemon:
        daemon.wait(*[daemon.shell("echo x; echo y >&2; exit 1") for _ in range(8)])
        keeper = daemon.workers("keeper")[0]["pid"]
        watched = (daemon.pid, keeper, template_of(keeper))
        before = [len(descriptors(pid)) for pid in watched]

        jobs = daemon.submit_many(
            [
                {"command": ["/bin/sh", "-c", "head -c 30000 /dev/zero; true & wait"], "cwd": "/"}
                for _ in range(count)
            ]
        )
        daemon.wait(*jobs, limit_s=110)

        assert [len(descriptors(pid)) for pid in watched] == before
        for pid in watched:
            daemon.until("no zombie", lambda pid=pid: "Z" not in children(pid).values())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_short_commands_leave_no_zombie() -> None:
    with running_daemon() as daemon:
        jobs = daemon.submit_many([{"command": ["/bin/true"], "cwd": "/"}] * 10_000)
        while jobs:
            daemon.wait(*jobs[:500], limit_s=55)
            del jobs[:500]
        keepers = [keeper["pid"] for keeper in daemon.workers("keeper")]
        assert keepers
        for pid in (daemon.pid, *keepers, *map(template_of, keepers)):
            daemon.until("no zombie", lambda pid=pid: "Z" not in children(pid).values())
        ended = daemon.call(requests.List(states=["SUCCESS"], count=True))
        assert ended["count"] == 10_000


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_command_with_many_double_forks_leaves_no_zombie_with_its_keeper(count: int) -> None:
    with running_daemon() as daemon:
        code = (
            "import os, sys\n"
            "for _ in range(int(sys.argv[1])):\n"
            "    pid = os.fork()\n"
            "    if pid == 0:\n"
            "        if os.fork() == 0: os._exit(0)\n"
            "        os._exit(0)\n"
            "    os.waitpid(pid, 0)\n"
            "sys.stdin.close(); open(sys.argv[2], 'w').close()\n"
            "import signal; signal.pause()\n"
        )
        done = daemon.folder / "done"
        job = daemon.submit(command=[sys.executable, "-c", code, str(count), str(done)], cwd="/")
        daemon.until("all forks", done.exists, limit_s=100)
        keeper = keeper_of(daemon, job)["pid"]
        daemon.until(
            "only the command below its keeper", lambda: list(children(keeper).values()) == ["S"]
        )
        daemon.call(requests.Cancel(job=job))


ALONE = """
import json, os, signal, socket, sys
from jobctl.worker import keeper as module, processes
from jobctl.worker.instance import create
from jobctl.worker.kernel import become_subreaper
folder, cgroup, line, patch, *asked = sys.argv[1:]
exec(patch)
signal.signal(signal.SIGCHLD, lambda *_: None)
become_subreaper()
instance = create(folder)
instance.announce("keeper", cgroup)
keeper = module.Keeper(instance, folder, patience_s=60)
daemon = socket.socket(socket.AF_UNIX)
daemon.connect(f"{folder}/sock")
order = {
    "token": 1, "job_id": 1, "argv": ["/bin/sh", "-c", line], "env": {}, "cwd": "/", "umask": 18,
    "uid": None, "stop": [[15, 0.0], [9, 0.0]], "success_codes": [0], "leftover": "leave",
    "output_path": f"{folder}/output", "output_cap_bytes": 0, "timeout_s": None,
}
said = [{"do": "hello", "protocol": [1]}, {"do": "run", "order": order}, *map(json.loads, asked)]
for message in said:
    daemon.sendall(json.dumps(message).encode() + b"\\n")
while not keeper.has_ended:
    keeper.turn(100)
with daemon.makefile("r") as lines:
    for line in lines:
        message = json.loads(line)
        if message["is"] == "outcomes":
            print(json.dumps(message["outcomes"][0]))
            break
"""


def keep_alone(
    folder: Path, cgroup: Path, line: str, *asked: dict[str, Any], patch: str = ""
) -> Any:
    """The outcome of a shell line under a keeper that no template has forked."""
    texts = [json.dumps(message) for message in asked]
    command = [sys.executable, "-c", ALONE, str(folder), str(cgroup), line, patch, *texts]
    told = subprocess.run(command, check=True, capture_output=True, timeout=30 * PATIENCE)
    return json.loads(told.stdout)


def test_a_command_that_the_kernel_killed_for_want_of_memory_says_so(tmp_path: Path) -> None:
    """The kernel's counter is a file here: no test takes all memory of a machine."""
    counter = tmp_path / "memory.events"
    counter.write_text("oom_kill 0\n")

    outcome = keep_alone(tmp_path / "keeper", tmp_path, f"echo oom_kill 1 > {counter}; kill -9 $$")

    assert (outcome["verdict"], outcome["signal"]) == ("failure", signal.SIGKILL)
    assert json.loads(outcome["error"])["type"] == "OutOfMemory"


def test_what_cannot_be_killed_is_named_and_the_cancel_is_answered(tmp_path: Path) -> None:
    """P13. Nothing that this keeper sends arrives, as with a process that hangs in the kernel."""
    patch = "processes.send = lambda pid, number: False; module._STUBBORN_ROUNDS = 2"
    began = tmp_path / "began"

    outcome = keep_alone(
        tmp_path / "keeper",
        tmp_path,
        f"echo $$ >> {began}; exec sleep 3600 >/dev/null 2>&1",
        {"do": "stop", "token": 1, "steps": [[15, 0.0]], "verdict": "cancelled"},
        patch=patch,
    )

    try:
        assert outcome["verdict"] == "cancelled"
        assert outcome["remaining"] == pids_in(began)
        assert is_running(outcome["remaining"][0])
    finally:
        os.kill(outcome["remaining"][0], signal.SIGKILL)


def test_a_keeper_that_is_being_born_has_no_pid_yet(daemon: Daemon) -> None:
    """0 would mean everybody in the group of whoever sends it a signal."""
    daemon.ended(daemon.shell("true"))
    idle = daemon.workers("keeper")
    template = template_of(idle[0]["pid"])
    os.kill(template, signal.SIGSTOP)
    try:
        jobs = [daemon.shell("until [ -e go ]; do sleep 0.01; done") for _ in [*idle, "one more"]]
        daemon.until("one to be born", lambda: None in [w["pid"] for w in daemon.workers("keeper")])
    finally:
        os.kill(template, signal.SIGCONT)
    (daemon.folder / "go").touch()

    assert {end["state"] for end in daemon.wait(*jobs)} == {"SUCCESS"}
    assert all(worker["pid"] for worker in daemon.workers("keeper"))
