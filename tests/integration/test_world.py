"""What a command finds when it starts: asserted by the command itself, as root where users change."""

from __future__ import annotations

import grp
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl.config.load import load
from jobctl.protocol import requests
from jobctl.worker.command import start
from tests.support.daemon import Daemon, running_daemon
from tests.support.users import NOBODY, as_nobody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

PYTHON = "/usr/bin/python3"
pytestmark = pytest.mark.skipif(not Path(PYTHON).exists(), reason="needs a Python for everybody")
LOOK = """
import json, os, resource, signal, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
descriptors = []
for name in os.listdir("/proc/self/fd"):
    try:
        os.fstat(int(name))
        descriptors.append(int(name))
    except OSError:
        pass
limits = {"cpu": resource.RLIMIT_CPU, "files": resource.RLIMIT_NOFILE, "processes": resource.RLIMIT_NPROC,
          "space": resource.RLIMIT_AS, "core": resource.RLIMIT_CORE}
umask = os.umask(0)
print(json.dumps({
    "uids": os.getresuid(), "gids": os.getresgid(), "groups": sorted(os.getgroups()), "umask": umask,
    "cwd": os.getcwd(), "env": dict(os.environ), "descriptors": sorted(descriptors),
    "blocked": int(status["SigBlk"], 16), "ignored": int(status["SigIgn"], 16),
    "caught": int(status["SigCgt"], 16), "session": os.getsid(0) == os.getpid(),
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "stdin": sys.stdin.read(), "argv": sys.argv[1:],
    "limits": {name: resource.getrlimit(number) for name, number in limits.items()},
}))
"""
# Python itself ignores PIPE and XFSZ and catches INT.
OF_PYTHON = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
# 32 and 33: the C library keeps them for itself and lets nobody touch them (signal(7)). Whoever starts the
# tests may have ignored them.
OF_LIBRARY = 0b11 << 31
GROUP = "games"


class World:
    """A daemon with a task ``look`` of some keys, and what the command found."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon

    def write(self, **tables: str) -> None:
        """Replace the tasks: the keys of each as TOML."""
        text = "".join(f"[tasks.{name}]\n{keys}\n" for name, keys in tables.items())
        self.daemon.config.write_text(text)
        self.daemon.call(requests.Reload())

    def found(self, keys: str, **job: Any) -> dict[str, Any]:
        """What a command with these keys found."""
        (self.daemon.folder / "look.py").write_text(LOOK)
        (self.daemon.folder / "look.py").chmod(0o644)
        self.write(look=f'command = ["{PYTHON}", "-I", "{self.daemon.folder}/look.py"]\n{keys}')
        ended = self.ended("look", **job)
        assert ended["state"] == "SUCCESS", (ended, self.daemon.output(ended["id"]))
        found: dict[str, Any] = json.loads(self.daemon.output(ended["id"]))
        return found

    def ended(self, task: str, **job: Any) -> dict[str, Any]:
        """A job of a task when it has ended."""
        return self.daemon.ended(self.daemon.submit(task=task, **job))

    def refusal(self, keys: str) -> dict[str, Any]:
        """The error of a job that cannot start; afterwards the queue goes on."""
        self.write(bad=f'command = ["true"]\n{keys}', good='command = ["true"]')
        ended = self.ended("bad")
        assert ended["state"] == "FAILURE"
        assert self.ended("good")["state"] == "SUCCESS"
        error: dict[str, Any] = ended["error"]
        return error


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_daemon(start=False) as daemon:
        daemon.folder.chmod(0o755)
        daemon.environment["CREDENTIALS_DIRECTORY"] = str(daemon.folder)
        yield World(daemon.start())


@pytest.fixture
def file(world: World) -> Callable[..., Path]:
    """Make a file beside the daemon's state; gives its path."""

    def make(name: str, text: str, mode: int = 0o600) -> Path:
        path = world.daemon.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    return make


@needs_root
def test_a_job_of_nobody_gets_nothing_that_it_was_not_given(world: World) -> None:
    found = world.found('user = "nobody"')
    job = found["env"].pop("JOBCTL_JOB_ID")
    token = found["env"].pop("JOBCTL_ATTEMPT")
    assert int(job) > 0
    assert int(token, 16) > 0
    assert found["env"] == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/nonexistent",
        "USER": "nobody",
        "LOGNAME": "nobody",
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "JOBCTL_TASK": "look",
        "JOBCTL_ATTEMPT_NUMBER": "1",
    }
    assert found["uids"] == [NOBODY] * 3
    assert found["gids"] == [NOBODY] * 3
    assert found["groups"] == [NOBODY]
    assert found["umask"] == 0o022
    assert found["cwd"] == "/"
    assert found["descriptors"] == [0, 1, 2]
    assert found["stdin"] == ""
    assert found["blocked"] == 0
    assert found["ignored"] & ~(OF_PYTHON | OF_LIBRARY) == 0
    assert found["caught"] == 1 << (signal.SIGINT - 1)
    assert found["session"]
    assert found["nice"] == os.getpriority(os.PRIO_PROCESS, 0)
    own = [
        list(resource.getrlimit(resource.RLIMIT_CPU)),
        list(resource.getrlimit(resource.RLIMIT_AS)),
    ]
    assert [found["limits"]["cpu"], found["limits"]["space"]] == own


@needs_root
def test_a_group_replaces_the_one_of_the_user(world: World) -> None:
    gid = grp.getgrnam(GROUP).gr_gid
    found = world.found(f'user = "nobody"\ngroup = "{GROUP}"\numask = "027"\ncwd = "/tmp"')
    assert (found["uids"], found["gids"]) == ([NOBODY] * 3, [gid] * 3)
    assert (found["groups"], found["umask"], found["cwd"]) == ([gid], 0o027, "/tmp")


@needs_root
def test_a_group_without_a_user_is_the_daemons_user_in_that_group(world: World) -> None:
    gid = grp.getgrnam(GROUP).gr_gid
    found = world.found(f'group = "{gid}"')
    assert (found["uids"], found["gids"]) == ([0] * 3, [gid] * 3)
    assert 0 not in found["groups"]


def test_priorities_and_limits_are_what_the_task_asks_for(world: World) -> None:
    found = world.found(
        'nice = 7\ncpu_time = "2m"\nopen_files = 64\naddress_space = "4GiB"\ncore_size = 0'
    )
    assert found["nice"] == 7
    assert found["limits"]["cpu"] == [120, 125]
    assert found["limits"]["files"] == [64, 64]
    assert found["limits"]["space"] == [4 << 30, 4 << 30]
    assert found["limits"]["core"] == [0, 0]
    assert found["descriptors"] == [0, 1, 2]
    assert found["session"]


def test_the_least_limits_leave_room_to_start(world: World) -> None:
    world.write(
        small='command = ["/bin/cat", "/proc/self/limits", "-"]\nopen_files = 32\n'
        'address_space = "16MiB"\ncpu_time = 1\nnice = 19\nstdin = "the input"\n'
        'progress = true\nstderr = "separate"\njournal = true'
    )
    ended = world.ended("small")
    output = world.daemon.output(ended["id"])
    assert ended["state"] == "SUCCESS", (ended, output)
    limits = {line[:26].strip(): line[26:].split()[:2] for line in output.splitlines()}
    assert limits["Max open files"] == ["32", "32"]
    assert limits["Max address space"] == [str(16 << 20)] * 2
    assert output.endswith("the input")


@needs_root
def test_the_number_of_processes_of_a_user_is_limited(world: World) -> None:
    found = world.found('user = "nobody"\nmax_processes = 500')
    assert found["limits"]["processes"] == [500, 500]


@pytest.mark.skipif(not Path("/usr/bin/ionice").exists(), reason="needs ionice of util-linux")
def test_the_priority_of_input_and_output_is_what_the_task_asks_for(world: World) -> None:
    world.write(
        idle='command = ["/usr/bin/ionice"]\nionice = "idle"',
        late='command = ["/usr/bin/ionice"]\nionice = "best-effort:7"',
    )
    told = [world.daemon.output(world.ended(name)["id"]) for name in ("idle", "late")]
    assert told == ["idle\n", "best-effort: prio 7\n"]


def test_who_uses_up_its_processor_time_fails_with_that_cause(world: World) -> None:
    world.write(busy=f'command = ["{sys.executable}", "-c", "while True: pass"]\ncpu_time = 1')
    ended = world.ended("busy")
    assert (ended["state"], ended["attempts"][0]["signal"]) == ("FAILURE", signal.SIGXCPU)
    assert ended["error"]["type"] == "CpuTimeExceeded"
    assert "cpu_time = 1s" in ended["error"]["message"]


def test_a_text_is_the_input_whole_and_read_only(world: World) -> None:
    text = "ä line\n" * 20_000
    found = world.found(f"stdin = {json.dumps(text, ensure_ascii=False)}")
    assert found["stdin"] == text
    world.write(writes='command = ["/bin/sh", "-c", "echo no >&0"]\nstdin = "x"')
    assert world.ended("writes")["state"] == "FAILURE"


def test_a_file_is_the_input(world: World, file: Callable[..., Path]) -> None:
    assert world.found(f'stdin_file = "{file("in", "from a file")}"')["stdin"] == "from a file"


@needs_root
def test_a_file_is_opened_with_the_rights_of_the_user(
    world: World, file: Callable[..., Path]
) -> None:
    path = file("secret-in", "roots own")
    error = world.refusal(f'stdin_file = "{path}"\nuser = "nobody"')
    assert error["type"] == "BadFile"
    assert f'stdin_file: "{path}": Permission denied' in error["message"]
    readable = file("open-in", "for all", 0o644)
    assert world.found(f'stdin_file = "{readable}"\nuser = "nobody"')["stdin"] == "for all"


def test_files_of_variables_replace_the_table_and_each_other(
    world: World, file: Callable[..., Path]
) -> None:
    first = file("first", "# a comment\n\nA = 1\nB='two words'\nC=\"$A\\n\"\nD=\n  E = = \n")
    second = file("second", "B=last\r\n")
    found = world.found(
        f'env = {{ A = "0", Z = "z" }}\nenv_file = ["{first}", "-/no/such/file", "{second}"]'
    )
    given = {name: found["env"].get(name) for name in "ABCDEZ"}
    assert given == {"A": "1", "B": "last", "C": "$A\\n", "D": "", "E": "=", "Z": "z"}


@needs_root
def test_a_secret_of_root_reaches_a_job_of_nobody_and_nothing_else(
    world: World, file: Callable[..., Path]
) -> None:
    secret = "s3cr3t-of-the-test"
    path = file("token", secret + "\n")
    variables = file("variables", f"OTHER={secret}\n")
    found = world.found(
        f'user = "nobody"\nenv_file = "{variables}"\n'
        f'env_from_file = {{ TOKEN = "{path}", CREDENTIAL = "credential:token" }}'
    )
    assert [found["env"][name] for name in ("TOKEN", "CREDENTIAL", "OTHER")] == [secret] * 3
    world.write(quiet=f'command = ["true"]\nenv_from_file = {{ TOKEN = "{path}" }}')
    ended = world.ended("quiet")
    assert ended["attempts"][0]["ran_with"]["env_from_file"] == {"TOKEN": str(path)}
    looks = [
        world.daemon.call(requests.Inspect(what=what))
        for what in ("conf", "registered", "active", "workers")
    ]
    assert secret not in json.dumps([ended, looks])
    assert secret not in world.daemon.log()


@pytest.mark.parametrize(
    ("keys", "kind", "message"),
    [
        ('env_file = "/no/such/file"', "BadFile", 'env_file: "/no/such/file": No such file'),
        ('env_file = "/proc"', "BadFile", 'env_file: "/proc"'),
        ('env_file = "/dev/zero"', "BadFile", "longer than 1 MiB"),
        ('env_from_file = { T = "/no/such" }', "BadFile", 'env_from_file.T: "/no/such"'),
        ('env_from_file = { T = "credential:none" }', "BadFile", "No such file"),
        ('stdin_file = "/no/such"', "BadFile", 'stdin_file: "/no/such": No such file'),
        ("open_files = 999999999", "LimitRefused", "open_files = 999999999"),
    ],
)
def test_what_cannot_be_given_is_the_outcome_with_its_cause(
    world: World, keys: str, kind: str, message: str
) -> None:
    error = world.refusal(keys)
    assert error["type"] == kind
    assert message in error["message"]


def test_a_wrong_line_is_named_by_its_number_and_not_shown(
    world: World, file: Callable[..., Path]
) -> None:
    bad = file("bad", "A=1\n\nhunter2\n")
    error = world.refusal(f'env_file = "{bad}"')
    assert "line 3 is not NAME=value" in error["message"]
    assert "hunter2" not in json.dumps(error)
    reserved = file("own", "JOBCTL_TASK=other\n")
    own = world.refusal(f'env_file = "{reserved}"')
    assert "line 1: names that begin with JOBCTL_" in own["message"]


@needs_root
def test_a_limit_that_would_not_bind_root_is_refused(world: World) -> None:
    error = world.refusal("max_processes = 10")
    assert "max_processes does not bind root" in error["message"]


@needs_root
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {"uid": 0, "gid": 0, "groups": [0]},
            "only a daemon of root can run a command as user 0 and group 0: Operation not permitted",
        ),
        (
            {"gid": 0, "groups": [0], "changes_group": True},
            "only a daemon of root can run a command as user 65534 and group 0: Operation not permitted",
        ),
        ({"world": {"nice": -5}}, "nice = -5: Permission denied"),
        ({"world": {"limits": {"open_files": 1 << 20}}}, "open_files = 1048576: "),
    ],
)
def test_what_only_root_can_is_refused_to_a_daemon_of_another_user(
    asked: dict[str, Any], told: str
) -> None:
    own = {"uid": NOBODY, "gid": NOBODY, "groups": [NOBODY]}
    order = {"argv": ["/bin/true"], "env": {}, "cwd": "/", "umask": 0o022, **own, **asked}
    with Path(os.devnull).open("wb") as sink:
        refused = as_nobody(lambda: start(order, sink.fileno(), sink.fileno()))
    assert refused.startswith(f"CannotStart: {told}")


def test_a_fifo_does_not_hold_its_keeper_up(world: World) -> None:
    path = world.daemon.folder / "fifo"
    os.mkfifo(path)
    for key in ("env_file", "stdin_file"):
        assert "it is not a file" in world.refusal(f'{key} = "{path}"')["message"]
    path.unlink()


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ('group = "no-such-group"', "group", 'there is no group "no-such-group" here'),
        ('user = "no-such-user"', "user", 'there is no user "no-such-user" here'),
        ('group = "a b"', "group", "is not a group"),
        ("nice = 20", "nice", "out of range"),
        ('ionice = "idle:3"', "ionice", "is not an input and output priority"),
        ('cpu_time = "500ms"', "cpu_time", "is not a limit of processor time"),
        ("open_files = 3", "open_files", "out of range"),
        ("max_processes = 0", "max_processes", "out of range"),
        ('user = "root"\nmax_processes = 9', "max_processes", "does not bind root"),
        ('address_space = "1MiB"', "address_space", "too little for any program"),
        ('env_file = "relative"', "env_file", "is not an absolute path"),
        ('env_file = ["/a", "-b"]', "env_file[1]", "is not an absolute path"),
        ('env_from_file = { T = "t" }', "env_from_file.T", "is not an absolute path"),
        ('env_from_file = { JOBCTL_T = "/t" }', "env_from_file.JOBCTL_T", "given by jobctl"),
        ('env_from_file = { T = "credential:a/b" }', "env_from_file.T", "names no credential"),
        ('env = { T = "1" }\nenv_from_file = { T = "/t" }', "env_from_file.T", "in env and in"),
        ('stdin = "a"\nstdin_file = "/b"', "stdin_file", "are both set"),
        ('memory = "1MiB"', "memory", "too little for any program"),
        ("processes = 0", "processes", "out of range"),
    ],
)
def test_check_names_the_key_that_cannot_be_kept(
    tmp_path: Path, keys: str, key: str, message: str
) -> None:
    path = tmp_path / "jobctl.toml"
    path.write_text(f'[tasks.a]\ncommand = ["true"]\n{keys}\n')
    problems = load(path).problems
    assert [problem.key for problem in problems] == [f"tasks.a.{key}"]
    assert message in problems[0].message
    assert problems[0].hint


@pytest.mark.parametrize(
    "key",
    [
        "nice = 5",
        "open_files = 64",
        'stdin = "x"',
        'group = "0"',
        'stop = "KILL"',
        'memory = "1GiB"',
    ],
)
def test_a_function_is_given_none_of_it(tmp_path: Path, key: str) -> None:
    path = tmp_path / "jobctl.toml"
    path.write_text(f'[tasks.a]\nfunction = "os:getpid"\n{key}\n')
    (problem,) = load(path).problems
    assert problem.key == f"tasks.a.{key.partition(' ')[0]}"
    assert "belongs to commands" in problem.message
