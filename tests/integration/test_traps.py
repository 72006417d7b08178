"""The traps of the process model, each with the test that walks into it.

Numbers and facts: ``docs/explanation/process-model.md``, which also names the traps that are tested
elsewhere or not at all, and why.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.engine.local import holder
from jobctl.engine.local.sweep import Sweep
from jobctl.paths import connect_unix
from jobctl.worker.instance import create, note_command
from jobctl.worker.marks import read_marks
from tests.integration.test_workers import hold
from tests.integration.test_workers_commands import NO_CGROUPS, keeper_of, started
from tests.support.configurations import functions
from tests.support.daemon import Daemon, running_daemon, with_patch
from tests.support.processes import children, descriptors, is_running, pids_in, switches
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def templates(daemon: Daemon) -> dict[str, int]:
    """The pids of the living templates, by kind."""
    found = {}
    for folder in (daemon.state_dir / "run").iterdir():
        living = holder.living(folder) if folder.is_dir() else None
        if living is not None:
            found[living.kind.removeprefix("template-")] = living.pid
    return found


def message_from(connection: socket.socket, kind: str) -> dict[str, Any]:
    """Read messages until one of this kind comes."""
    connection.settimeout(10 * PATIENCE)
    with connection.makefile("rb") as lines:
        for line in lines:
            message: dict[str, Any] = json.loads(line)
            if message["is"] == kind:
                return message
    raise AssertionError(f"the connection ended without {kind}")


# -- liveness --------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_cgroup", [True, False])
def test_a_fork_of_user_code_does_not_keep_its_dead_worker_alive(has_cgroup: bool) -> None:
    """Traps 1 and 10: forks share flock and listener, and carry no token."""
    with running_daemon(functions({"fork_and_hold": 'on_lost = "retry"'}), start=False) as daemon:
        if not has_cgroup:
            daemon.launcher = with_patch(NO_CGROUPS)
        daemon.start()
        job, go, _ = hold(daemon, "fork_and_hold")
        (began,) = daemon.folder.glob("began-*")
        both = daemon.until("the fork too", lambda: len(pids_in(began)) == 2 and pids_in(began))
        (worker,) = [w for w in daemon.workers("function") if job in w["attempts"]]
        (fork,) = set(both) - {worker["pid"]}
        daemon.kill()
        os.kill(worker["pid"], signal.SIGKILL)
        until("the worker to be gone", lambda: not is_running(worker["pid"]))
        assert is_running(fork)

        daemon.start()

        daemon.until("the second run", lambda: len(pids_in(began)) == 4)
        assert not is_running(fork), "a left-over met the second run"
        go.touch()
        assert [a["outcome"] for a in daemon.ended(job)["attempts"]] == ["lost", "success"]
        for pid in pids_in(began):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_killed_template_is_replaced_and_its_children_finish_what_they_have() -> None:
    """Traps 2 and 18: children hold nothing of it; without it nobody knows how they die."""
    with running_daemon(functions()) as daemon:
        first, go, _ = hold(daemon)
        second, _, worker = hold(daemon)
        command, _ = started(daemon, "until [ -e go ]; do sleep 0.01; done; exit 6")
        old = templates(daemon)
        for pid in old.values():
            os.kill(pid, signal.SIGKILL)

        new = daemon.until(
            "new templates",
            lambda: (
                len(found := templates(daemon)) == 2
                and not set(found.values()) & set(old.values())
                and found
            ),
        )

        assert set(new) == {"keeper", "function"}
        os.kill(worker, signal.SIGKILL)
        (attempt,) = daemon.ended(second)["attempts"]
        assert attempt["outcome"] == "lost"
        assert "how is not known" in attempt["error"]["message"]
        go.touch()
        (daemon.folder / "go").touch()
        assert daemon.ended(first)["result"] == "went"
        assert daemon.ended(command)["attempts"][0]["exit_code"] == 6
        assert daemon.ended(daemon.submit(task="double", args=[2], typed=True))["result"] == 4
        daemon.until(
            "the folders of the old templates to go",
            lambda: len([p for p in (daemon.state_dir / "run").iterdir() if p.is_dir()]) == 2,
        )


def test_the_end_of_a_channel_is_no_death() -> None:
    """Trap 3: user code ends the worker's connection; the worker is met again and goes on."""
    with running_daemon(functions(group="processes = 1\n")) as daemon:
        (before,) = daemon.until(
            "a worker", lambda: [w for w in daemon.workers("function") if w["pid"]]
        )
        ended = daemon.ended(daemon.submit(task="shut_channel"))
        assert ended["result"] == "shut"
        assert len(ended["attempts"]) == 1
        assert daemon.ended(daemon.submit(task="double", args=[3], typed=True))["result"] == 6
        assert [w["pid"] for w in daemon.workers("function")] == [before["pid"]]


@pytest.mark.slow
def test_the_death_of_a_large_worker_is_noticed_within_a_second() -> None:
    """Trap 4: it is announced after its memory is torn down."""
    with running_daemon(functions()) as daemon:
        job = daemon.submit(task="eat", args=[400], typed=True)
        pid = daemon.until(
            "a large worker",
            lambda: next(
                (
                    w["pid"]
                    for w in daemon.workers("function")
                    if job in w["attempts"] and resident_mib(w["pid"]) > 400
                ),
                None,
            ),
        )
        killed_at = time.time()
        os.kill(pid, signal.SIGKILL)
        ended = daemon.ended(job)
        assert ended["finished_at"] / 1e6 - killed_at < 1.0 * PATIENCE


def resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / (1 << 20)


def test_nothing_of_ours_gives_a_lock_back_by_hand() -> None:
    """Trap 5: LOCK_UN in a fork frees the parent's lock; a POSIX lock goes with any close."""
    import jobctl

    for path in Path(jobctl.__file__).parent.rglob("*.py"):
        text = path.read_text()
        code = "\n".join(line.partition("#")[0] for line in text.splitlines())
        assert "fcntl.LOCK_UN" not in code, path
        assert "fcntl.lockf" not in code, path
        assert "F_SETLK" not in code, path


def test_a_second_daemon_is_refused_although_the_lock_file_was_deleted(daemon: Daemon) -> None:
    """Trap 6: only SQLite's own lock is left, so the store is opened before anything is touched."""
    job, pid = started(daemon, "exec sleep 3600")
    (daemon.state_dir / "daemon.lock").unlink()
    second = Daemon(daemon.folder)
    second.socket = daemon.folder / "second"
    second.launch()

    assert second.wait_for_exit() != 0

    assert is_running(pid)
    assert daemon.status(job)["state"] == "STARTED"
    assert keeper_of(daemon, job)["phase"] == "serving"


def test_a_zombie_does_not_count_as_alive(tmp_path: Path) -> None:
    """Trap 7: a zombie passes ``kill(pid, 0)``, and a fork of it may hold its lock."""
    folder = tmp_path / "worker"
    report, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        instance = create(str(folder))
        instance.announce("keeper")
        if os.fork() == 0:
            signal.pause()
        os.write(tell, b"x")
        os._exit(0)
    try:
        os.read(report, 1)
        until("the zombie", lambda: children(os.getpid()).get(pid) == "Z")
        os.kill(pid, 0)
        assert holder.is_locked(folder)
        found = holder.read(folder)
        assert found is not None
        assert found.pid == pid
        assert holder.living(folder) is None
    finally:
        os.close(report)
        os.close(tell)
        os.waitpid(pid, 0)
        for name in Path("/proc").iterdir():
            if name.name.isdigit() and f"{folder}/lock" in descriptors_or_none(int(name.name)):
                os.kill(int(name.name), signal.SIGKILL)


def descriptors_or_none(pid: int) -> list[str]:
    try:
        return list(descriptors(pid).values())
    except OSError:
        return []


def test_a_stopped_worker_with_a_full_backlog_does_not_hold_a_starting_daemon_up() -> None:
    """Trap 8: a connection to it would block; it is tried again, and the worker counts as alive."""
    with running_daemon(functions()) as daemon:
        job, go, pid = hold(daemon)
        (worker,) = [w for w in daemon.workers("function") if job in w["attempts"]]
        (place,) = daemon.state_dir.glob(f"run/*/{worker['instance']}/sock")
        os.kill(pid, signal.SIGSTOP)
        daemon.kill()
        waiting: list[socket.socket] = []
        with contextlib.suppress(BlockingIOError):
            while len(waiting) < 5000:
                waiting.append(connect_unix(place))
        assert len(waiting) < 5000
        try:
            daemon.start()
            assert daemon.status(job)["state"] == "STARTED"
        finally:
            for connection in waiting:
                connection.close()
        os.kill(pid, signal.SIGCONT)
        go.touch()
        assert [a["outcome"] for a in daemon.ended(job)["attempts"]] == ["success"]


def test_an_order_of_a_dead_daemon_is_not_obeyed_after_the_greeting_of_the_next_one() -> None:
    """Trap 9: the old channel is closed before anything is read from the new one."""
    with running_daemon(functions(group="processes = 1\n")) as daemon:
        (worker,) = daemon.until(
            "a worker that serves",
            lambda: [w for w in daemon.workers("function") if w["phase"] == "serving"],
        )
        daemon.kill()
        (folder,) = daemon.state_dir.glob(f"run/*/{worker['instance']}")
        old = connect_unix(folder / "sock")
        old.settimeout(10)
        old.sendall(b'{"do":"hello","protocol":[1]}\n')
        message_from(old, "settled")
        os.kill(worker["pid"], signal.SIGSTOP)
        until("it to stop", lambda: state_of(worker["pid"]) == "T")
        ran = daemon.folder / "ran"
        job = f'[77,5,"note",{{"args":["{ran}","x"],"kwargs":{{}}}}]'
        old.sendall(f'{{"do":"run","jobs":[{job}]}}\n'.encode())
        tickets = os.open(folder / "tickets", os.O_RDWR | os.O_NONBLOCK)
        os.write(tickets, b".")
        os.close(tickets)
        new = connect_unix(folder / "sock")
        new.settimeout(10)
        new.sendall(b'{"do":"hello","protocol":[1]}\n')
        os.kill(worker["pid"], signal.SIGCONT)

        message_from(new, "settled")

        with contextlib.suppress(ConnectionResetError):
            assert old.recv(1 << 16) == b""
        assert 77 not in read_marks(str(folder))
        assert not ran.exists()
        old.close()
        new.close()
        daemon.start()


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.slow
def test_templates_that_were_being_born_when_their_daemon_died_are_not_forgotten() -> None:
    """Their locks are held and name nobody yet."""
    with running_daemon(functions(), start=False) as daemon:
        for _ in range(6):
            before = locks(daemon)
            daemon.launch()
            # It may find one of an earlier daemon that it can use.
            until("a template", lambda b=before: locks(daemon) - b or daemon.ready.is_set())  # type: ignore[misc]
            daemon.kill()
        daemon.start()
        assert daemon.ended(daemon.submit(task="double", args=[4], typed=True))["result"] == 8
        daemon.until(
            "only the templates of this daemon",
            lambda: len([p for p in (daemon.state_dir / "run").iterdir() if p.is_dir()]) == 2,
        )
        daemon.until("nobody else", lambda: set(daemon.processes()) <= known(daemon))


def locks(daemon: Daemon) -> set[Path]:
    return set(daemon.state_dir.glob("run/*/lock"))


def known(daemon: Daemon) -> set[int]:
    """The daemon's pid, and those of everything that it knows."""
    return {daemon.pid, *templates(daemon).values(), *(w["pid"] for w in daemon.workers())}


# -- orphans ---------------------------------------------------------------------------------------


@as_root
def test_what_has_shed_its_environment_is_ended_too_where_there_are_cgroups(
    daemon: Daemon,
) -> None:
    """Trap 10: ``env -i`` in a session of its own escapes every search but the cgroup's."""
    pids = daemon.folder / "pids"
    job, pid = started(
        daemon,
        f"(setsid env -i /bin/sh -c 'echo $$ >> {pids}; exec /bin/sleep 3600' &); exec sleep 3600",
    )
    (orphan,) = daemon.until("the orphan", lambda: pids_in(pids))
    os.kill(keeper_of(daemon, job)["pid"], signal.SIGKILL)
    (attempt,) = daemon.ended(job)["attempts"]
    try:
        if attempt["proof"] == "cgroup":
            assert not is_running(orphan)
        assert not is_running(pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)


@pytest.mark.slow
def test_a_child_between_fork_and_exec_is_waited_for_and_ended(tmp_path: Path) -> None:
    """Trap 11: until its exec only the inherited lock shows it; then its token does."""
    folder = tmp_path / "keeper"
    instance = create(str(folder))
    note_command(instance.lock_fd, 0, 0xABC)
    go, tell = os.pipe()
    environment = {"JOBCTL_ATTEMPT": f"{0xABC:016x}"}
    pid = os.fork()
    if pid == 0:
        os.read(go, 1)
        os.execve("/bin/sleep", ["sleep", "3600"], environment)
    instance.close()
    sweep = Sweep(directory=folder, kind="keeper", cgroup="", tokens=[0xABC])
    try:
        for _ in range(10):
            assert drain(sweep, 50) is not None, "it was not waited for"
        os.write(tell, b"x")
        until("it to be ended", lambda: drain(sweep, 1) is None or not is_running(pid))
        until("two clean passes", lambda: drain(sweep, 1) is None)
        assert not is_running(pid)
        assert sweep.proof == "unproved"
    finally:
        os.close(go)
        os.close(tell)
        os.waitpid(pid, 0)


def drain(sweep: Sweep, steps: int) -> float | None:
    """Step a sweep as long as it wants to be stepped at once."""
    wait_s: float | None = 0.0
    for _ in range(steps):
        wait_s = sweep.step()
        if wait_s is None:
            return None
    return wait_s


def test_the_commands_of_one_keeper_share_its_cgroup(daemon: Daemon) -> None:
    """Trap 13: one cgroup for each attempt would halve the rate."""
    job, pid = started(daemon, "exec sleep 3600")
    keeper = keeper_of(daemon, job)
    paths = [Path(f"/proc/{number}/cgroup").read_text() for number in (pid, keeper["pid"])]
    assert paths[0] == paths[1]
    unified = [line for line in paths[0].splitlines() if line.startswith("0::")]
    if os.geteuid() == 0 and Path("/sys/fs/cgroup").exists() and unified:
        assert unified[0].endswith(f"/{keeper['instance']}")


# -- outcomes --------------------------------------------------------------------------------------


def test_an_outcome_in_the_buffer_of_a_dead_daemon_is_not_lost() -> None:
    """Trap 15: a successful send is no hand-over; only an acknowledgement is."""
    with running_daemon(functions()) as daemon:
        job, go, _ = hold(daemon)
        command, pid = started(daemon, "until [ -e go ]; do sleep 0.01; done; exit 9")
        daemon.signal(signal.SIGSTOP)
        go.touch()
        (daemon.folder / "go").touch()
        until("the command to end", lambda: not is_running(pid))
        instances = [
            path
            for path in daemon.state_dir.glob("run/*/*/marks")
            if any(mark.how for mark in read_marks(str(path.parent)).values())
        ]
        until("the function to end", lambda: instances or ended_marks(daemon))
        daemon.kill()

        daemon.start()

        assert daemon.ended(job)["result"] == "went"
        assert daemon.ended(command)["attempts"][0]["exit_code"] == 9
        assert len(daemon.status(job)["attempts"]) == 1


def ended_marks(daemon: Daemon) -> bool:
    folders = [path.parent for path in daemon.state_dir.glob("run/*/*/marks")]
    return any(mark.how for folder in folders for mark in read_marks(str(folder)).values())


def test_marks_have_their_blocks_before_they_are_needed() -> None:
    """Trap 17: a mark in a sparse file on a full disk would be SIGBUS."""
    with running_daemon(functions()) as daemon:
        daemon.until("workers", lambda: len(list(daemon.state_dir.glob("run/*/*/marks"))) == 2)
        for path in daemon.state_dir.glob("run/*/*/marks"):
            found = daemon.until(
                "its blocks", lambda path=path: path.stat().st_size and path.stat()
            )
            assert found.st_blocks * 512 >= found.st_size


FAULTS = ("SEGV", "BUS", "FPE", "ILL", "TRAP", "SYS", "ABRT")
"""Signals by which a process tells that it cannot go on."""


def test_no_signal_to_everything_takes_an_exit_code_away() -> None:
    """Trap 19: a service manager may signal the whole unit, and anybody types ``killall -USR1``."""
    faults = {getattr(signal, f"SIG{name}") for name in FAULTS}
    stops = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
    harmless = signal.valid_signals() - {signal.SIGKILL} - faults - stops
    with running_daemon(functions()) as daemon:
        job, go, _ = hold(daemon)
        command, pid = started(daemon, "exec sleep 3600")
        # Another keeper and another worker have nothing to do.
        second, other = started(daemon, "until [ -e go ]; do sleep 0.01; done")
        daemon.ended(daemon.submit(task="double", args=[1], typed=True))
        (daemon.folder / "go").touch()
        daemon.ended(second)
        until("the second command to be gone", lambda: not is_running(other))
        ours = {*templates(daemon).values(), *(w["pid"] for w in daemon.workers())}
        assert len(ours) >= 6

        for number in sorted(harmless):
            for process in ours:
                os.kill(process, number)
        # What has been at work since then has taken its signals.
        daemon.ended(daemon.submit(task="double", args=[1], typed=True))
        daemon.ended(daemon.shell("true"))

        assert {p for p in ours if is_running(p)} == ours
        daemon.kill()
        for number in sorted(harmless):
            for process in ours:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
        os.kill(pid, signal.SIGTERM)
        go.touch()

        daemon.start()

        assert daemon.ended(job)["result"] == "went"
        assert daemon.ended(command)["attempts"][0]["signal"] == signal.SIGTERM


def test_a_child_of_a_function_can_be_ended_by_a_signal() -> None:
    """What keeps a worker alive is nothing that its forks inherit."""
    with running_daemon(functions()) as daemon:
        assert daemon.ended(daemon.submit(task="end_a_child"))["result"] == -signal.SIGTERM


# -- output, template, memory ----------------------------------------------------------------------


def test_no_process_of_ours_uses_inotify() -> None:
    """Trap 21: a user has 128 instances."""
    with running_daemon(functions()) as daemon:
        job, _ = started(daemon, "exec sleep 3600")
        keeper = keeper_of(daemon, job)["pid"]
        for pid in (daemon.pid, keeper, *templates(daemon).values()):
            assert not [name for name in descriptors(pid).values() if "inotify" in name]


def test_what_a_template_has_loaded_is_out_of_the_collector_s_reach() -> None:
    """Traps 25 and 26: a collection in a child would copy every page that it shares."""
    with running_daemon(functions()) as daemon:
        assert daemon.ended(daemon.submit(task="frozen"))["result"] > 1000


def test_idle_means_idle() -> None:
    """No process of ours runs at all while nothing happens. Time itself is what is measured here."""
    with running_daemon(functions()) as daemon:
        daemon.ended(daemon.submit(task="double", args=[1], typed=True))
        daemon.ended(daemon.shell("true"))
        daemon.until(
            "all to be born", lambda: all(w["phase"] == "serving" for w in daemon.workers())
        )
        pids = [daemon.pid, *templates(daemon).values(), *(w["pid"] for w in daemon.workers())]
        until("the last turn", settled(pids))
        before = [switches(pid) for pid in pids]
        time.sleep(2.0)
        assert [switches(pid) for pid in pids] == before


def settled(pids: list[int]) -> Callable[[], bool]:
    """True once nobody has run between two looks."""
    last: list[list[int]] = [[]]

    def look() -> bool:
        time.sleep(0.2)
        seen = [switches(pid) for pid in pids]
        is_quiet, last[0] = seen == last[0], seen
        return is_quiet

    return look


# -- service managers, paths -----------------------------------------------------------------------


@as_root
def test_what_sees_other_file_systems_than_the_daemon_is_given_nothing_new() -> None:
    """Trap 28: with PrivateTmp the survivors of an earlier start keep a deleted /tmp."""
    with running_daemon(functions(), start=False) as daemon:
        plain = daemon.launcher
        daemon.launcher = ["unshare", "--mount", *plain]
        daemon.start()
        job, go, _ = hold(daemon)
        command, _ = started(daemon, "until [ -e go ]; do sleep 0.01; done")
        old = {*templates(daemon).values(), *(w["pid"] for w in daemon.workers())}
        daemon.kill()
        daemon.launcher = plain

        daemon.start()

        daemon.ended(daemon.shell("true"))
        assert daemon.ended(daemon.submit(task="double", args=[5], typed=True))["result"] == 10
        fresh = [w for w in daemon.workers() if not w["retiring"]]
        assert not {w["pid"] for w in fresh} & old
        go.touch()
        (daemon.folder / "go").touch()
        assert daemon.ended(job)["state"] == "SUCCESS"
        assert daemon.ended(command)["state"] == "SUCCESS"
        daemon.until("the old ones to go", lambda: not [pid for pid in old if is_running(pid)])


def test_a_state_directory_may_lie_deeper_than_a_socket_s_address_is_long() -> None:
    """Trap 31."""
    with running_daemon(functions(), start=False) as daemon:
        deep = daemon.folder / ("d" * 100) / ("e" * 110)
        deep.mkdir(parents=True)
        daemon.state_dir = deep / "state"
        daemon.start()
        job, pid = started(daemon, "exec sleep 3600")
        assert daemon.ended(daemon.submit(task="double", args=[5], typed=True))["result"] == 10
        daemon.kill()
        daemon.start()
        assert daemon.status(job)["state"] == "STARTED"
        assert is_running(pid)


# -- nothing spins ---------------------------------------------------------------------------------


def test_births_that_fail_are_tried_again_later_and_later() -> None:
    """A template that may open nothing refuses every fork; when it may, everything comes."""
    with running_daemon(functions()) as daemon:
        daemon.ended(daemon.submit(task="double", args=[1], typed=True))
        template = templates(daemon)["function"]
        # Less than another worker takes, and no less than poll(2) wants for what it watches.
        resource_limit(template, len(descriptors(template)) - 2)
        for worker in daemon.workers("function"):
            os.kill(worker["pid"], signal.SIGKILL)
        daemon.until(
            "three refusals", lambda: daemon.log().count("a worker could not be started") >= 3
        )
        resource_limit(template, 1024)
        assert daemon.ended(daemon.submit(task="double", args=[7], typed=True))["result"] == 14


def resource_limit(pid: int, files: int) -> None:
    import resource

    resource.prlimit(pid, resource.RLIMIT_NOFILE, (files, 4096))


def test_a_command_killed_at_its_birth_with_its_keeper_is_never_run_twice(daemon: Daemon) -> None:
    """Keepers are killed again and again while commands start: each command begins once at most."""
    ledger = daemon.folder / "ledger"
    jobs = [daemon.shell(f"echo {n} >> {ledger}") for n in range(60)]
    for _ in range(15):
        found = [w["pid"] for w in daemon.workers("keeper") if w["pid"] and w["attempts"]]
        for pid in found[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    daemon.wait(*jobs)
    said = ledger.read_text().split() if ledger.exists() else []
    assert len(said) == len(set(said))
    for number, job in enumerate(jobs):
        ended = daemon.status(job)
        if ended["state"] == "SUCCESS":
            assert str(number) in said
        assert len(ended["attempts"]) == 1
