"""What a task is, how its keys are read, and what is refused."""

from __future__ import annotations

import dataclasses
import signal

import pytest

from jobctl.errors import UsageError
from jobctl.task import Kind, Send, Share, Source, Task, Wait, format_stop, make_task, parse_stop
from jobctl.task.keys import keys_of, nearest, read_values, write_values
from jobctl.task.units import (
    InvalidValue,
    Rate,
    format_size,
    format_span,
    parse_rate,
    parse_size,
    parse_span,
)


def faults_of(
    name: str = "backup", /, **written: object
) -> list[tuple[tuple[str | int, ...], str]]:
    """The faults of a task written like this, as (path, message)."""
    with pytest.raises(InvalidValue) as caught:
        make_task(name, written)
    return [(fault.path, fault.message) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("2d", 172800),
        ("1w", 604800),
        ("500ms", 0.5),
        ("1s500ms", 1.5),
        ("1.5h", 5400),
        ("5 minutes", 300),
        ("1 day, 2 hours and 30 sec", 93_630),
        ("2 Days", 172_800),
        ("0.0000015s", 0.000002),
        ("30", 30),
        (30, 30),
        (0.25, 0.25),
        (0, 0),
    ],
)
def test_a_span_is_read_as_seconds(written: object, seconds: float) -> None:
    assert parse_span(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "5 parsecs", "-1s", "1h1h", "1h 1 hour", "s", "1x", "1h junk", "1_0s", "\uff11s", "1" * 5000,
     -1, True, None, [], float("inf"), float("nan"), 10**400, "6000w", 1e12],
)  # fmt: skip
def test_what_is_no_span_is_refused_with_a_way_to_write_one(written: object) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_span(written)
    assert "1h30m" in caught.value.hint


def test_a_number_that_python_does_not_write_is_named_all_the_same() -> None:
    with pytest.raises(InvalidValue, match="a number of too many digits"):
        parse_span(2**20000)
    with pytest.raises(InvalidValue, match="a number of too many digits"):
        parse_size(2**20000)
    with pytest.raises(InvalidValue, match="a number of too many digits"):
        keys_of(Task)["priority"].key.mark.read(2**20000)


@pytest.mark.parametrize("written", ["1M", "2 months", "200y"])
def test_a_span_without_a_fixed_length_is_refused(written: str) -> None:
    with pytest.raises(InvalidValue, match="no fixed length"):
        parse_span(written)


@pytest.mark.parametrize("seconds", [0, 0.001, 0.5, 1, 59.999, 60, 3661, 86400, 2592000, 1209600])
def test_a_span_that_was_written_is_read_back(seconds: float) -> None:
    assert parse_span(format_span(seconds)) == seconds


def test_thirty_days_are_not_told_in_weeks() -> None:
    assert format_span(30 * 86400) == "30d"
    assert format_span(14 * 86400) == "2w"


@pytest.mark.parametrize(
    ("written", "size"),
    [("64MiB", 64 << 20), ("10MB", 10**7), ("4K", 4096), ("4k", 4096), ("1.5KiB", 1536), ("7", 7), (7, 7), ("0B", 0)],
)  # fmt: skip
def test_a_size_is_read_as_bytes(written: object, size: int) -> None:
    assert parse_size(written) == size
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("written", ["", "1 apple", "-1", -1, 1.5, True, "9999999999TiB", None])
def test_what_is_no_size_is_refused(written: object) -> None:
    with pytest.raises(InvalidValue):
        parse_size(written)


@pytest.mark.parametrize(
    ("written", "rate", "spacing_us"),
    [
        ("10/s", Rate(count=10, per_s=1), 100_000),
        ("30/m", Rate(count=30, per_s=60), 2_000_000),
        ("1/h", Rate(count=1, per_s=3600), 3_600_000_000),
        ("3/10s", Rate(count=3, per_s=10), 3_333_333),
    ],
)
def test_a_rate_is_read_and_written(written: str, rate: Rate, spacing_us: int) -> None:
    assert parse_rate(written) == rate
    assert str(rate) == written
    assert rate.spacing_us == spacing_us


@pytest.mark.parametrize(
    "written", ["", "10", "/s", "0/s", "10/x", "10/0s", 10, "1.5/s", "10 per second"]
)
def test_what_is_no_rate_is_refused(written: object) -> None:
    with pytest.raises(InvalidValue):
        parse_rate(written)


def test_a_stop_sequence_is_its_steps() -> None:
    steps = (Send(signal.SIGTERM), Wait(30.0), Send(signal.SIGKILL))
    assert parse_stop("TERM,30s,KILL") == steps
    assert parse_stop(" sigterm , 30 , SIGKILL ") == steps
    assert format_stop(steps) == "TERM,30s,KILL"
    assert parse_stop("KILL") == (Send(signal.SIGKILL),)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", 'there is no signal ""'),
        ("TERM", "a stop sequence ends with KILL"),
        ("TERM,KILL,5s", "a stop sequence ends with KILL"),
        ("5s,KILL", "a stop sequence begins with a signal"),
        ("TERM,5s,5s,KILL", "two waits follow each other"),
        ("TERM,1x,KILL", '"1x" is not a span of time'),
        ("STOP,KILL", "SIGSTOP holds a process instead of ending it"),
        (9, "9 is not a stop sequence"),
    ],
)
def test_a_stop_sequence_that_might_not_end_is_refused(written: object, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        parse_stop(written)


def test_a_stop_sequence_tells_all_its_faults() -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_stop("TREM,1x,KLIL")
    assert len(caught.value.faults) == 3


def test_a_command_is_a_task_with_defaults_that_promise_nothing_special() -> None:
    task = make_task("backup", {"command": ["true"]})
    assert task.kind is Kind.COMMAND
    assert (task.queue, task.retries, task.on_lost, task.max_lost) == ("default", 0, "fail", 3)
    assert (task.timeout_s, task.on_overlap, task.on_missed) == (None, "skip", "skip")
    assert task == Task(name="backup", command=("true",))


def test_a_shell_line_is_a_command_and_a_function_is_not() -> None:
    assert make_task("a", {"shell": "echo $1"}).kind is Kind.COMMAND
    assert make_task("a", {"function": "shop.tasks:Mail.send"}).kind is Kind.FUNCTION


OF_FUNCTIONS = {name for name, bound in keys_of(Task).items() if bound.key.functions_only}
EVERY_KEY: dict[str, object] = {
    "command": ["tar", "-xf", "{1}"],
    "description": "unpacks",
    "queue": "files",
    "priority": -5,
    "args": ["a.tar", 1, None, [True]],
    "kwargs": {"deep": {"x": 1.5}},
    "timeout": "1h",
    "soft_timeout": "50m",
    "soft_signal": "USR1",
    "stop": "INT,5s,KILL",
    "retries": 3,
    "retry_delay": "10s",
    "retry_backoff": 1.5,
    "retry_backoff_max": "1h",
    "retry_jitter": False,
    "retry_on": [75, "1-2", "signal", "timeout"],
    "success_codes": [0, 3],
    "on_lost": "retry",
    "max_lost": 5,
    "on_success": "publish",
    "on_failure": "alert.admin",
    "notify": ["ops", "pings"],
    "on_retry": "note",
    "on_overlap": "queue",
    "on_missed": "all",
    "missed_within": "2h",
    "missed_limit": 7,
    "leftover": "kill",
    "stderr": "separate",
    "max_output": "64KiB",
    "user": "nobody",
    "cwd": "/tmp",
    "umask": "027",
    "env": {"LANG": "C"},
    "group": "games",
    "env_file": ["/etc/a", "-/etc/b"],
    "env_from_file": {"TOKEN": "/etc/token", "KEY": "credential:key"},
    "stdin": "",
    "stdin_file": "/etc/passwd",
    "nice": 5,
    "ionice": "best-effort:7",
    "cpu_time": "1m",
    "memory": "64MiB",
    "processes": 20,
    "open_files": 64,
    "max_processes": 100,
    "address_space": "1GiB",
    "core_size": 0,
    "progress": True,
    "journal": True,
    "expires": "1d",
    "deadline": "2d",
    "aliases": ["untar"],
    "concurrency": 4,
    "concurrency_key": "{1}",
    "concurrency_per_key": 2,
    "rate_limit": "10/m",
    "rate_burst": 3,
    "max_load": 2.5,
    "min_free_memory": "1GiB",
    "unique": "args",
}


def test_every_key_is_read_and_survives_json() -> None:
    task = make_task("unpack", EVERY_KEY, source=Source(file="x.toml", line=3, column=1))
    assert EVERY_KEY.keys() == keys_of(Task).keys() - {"shell", "function", *OF_FUNCTIONS}
    assert (task.timeout_s, task.umask, task.output_cap_bytes) == (3600.0, 0o27, 65536)
    again = Task.from_json(task.to_json())
    assert again == task
    assert again.source == task.source


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"concurrency": 0}, "out of range"),
        ({"concurrency_key": "{customer"}, "not understood"),
        ({"concurrency_per_key": 2}, "there is no concurrency_key"),
        ({"rate_limit": 3}, "not a rate"),
        ({"unique": "arg"}, "says nothing of what is unique"),
        ({"unique": "{"}, "not understood"),
        ({"rate_burst": 3}, "there is no rate_limit"),
        ({"max_load": 0}, "not a load"),
        ({"max_load": "80%"}, "not a load"),
        ({"min_free_memory": "much"}, "size"),
        ({"concurrency_key": "{1}", "concurrency_per_key": 3, "concurrency": 2}, "never run at once"),
    ],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused(written: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        make_task("a", {"shell": "x", **written})


def test_a_function_survives_json() -> None:
    task = make_task("add", {"function": "shop:add", "timeout": 3})
    assert Task.from_json(task.to_json()) == task


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ({"retry_on": [75]}, ("retry_on",), "retry_on says what is tried again, but there are no retries"),
        ({"retry_on": [], "retries": 1}, ("retry_on",), "the list is empty"),
        ({"retry_on": 75, "retries": 1}, ("retry_on",), "75 is not a list"),
        ({"retry_on": [256], "retries": 1}, ("retry_on", 0), "256 is no exit code and no range of them"),
        ({"retry_on": ["3-1"], "retries": 1}, ("retry_on", 0), '"3-1" is not a range of exit codes'),
        ({"retry_on": ["1-256"], "retries": 1}, ("retry_on", 0), '"1-256" is not a range of exit codes'),
        ({"retry_on": ["KILL"], "retries": 1}, ("retry_on", 0), '"KILL" is no exit code and no range of them'),
        ({"retry_on": [True], "retries": 1}, ("retry_on", 0), "true is no exit code and no range of them"),
        ({"retry_on": ["0-3"], "retries": 1}, ("retry_on",), "the exit code 0 counts as success and is never tried again"),
        ({"retry_on": [2], "success_codes": [0, 2], "retries": 1}, ("retry_on",), "the exit code 2 counts as success and is never tried again"),
        ({"autoretry_for": ["OSError"], "retries": 1}, ("autoretry_for",), "autoretry_for belongs to functions, but this task runs a command"),
    ],
)  # fmt: skip
def test_what_cannot_be_tried_again_is_refused(
    written: dict[str, object], path: tuple[str | int, ...], message: str
) -> None:
    assert faults_of(command=["true"], **written) == [(path, message)]


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ({"autoretry_for": ["OSError"]}, ("autoretry_for",), "autoretry_for says what is tried again, but there are no retries"),
        ({"autoretry_for": ["OsError"], "retries": 1}, ("autoretry_for", 0), 'Python has no exception "OsError" of its own'),
        ({"autoretry_for": ["a b"], "retries": 1}, ("autoretry_for", 0), '"a b" is not the name of a class'),
        ({"autoretry_for": [1], "retries": 1}, ("autoretry_for", 0), "1 is not the name of a class"),
        ({"autoretry_for": ["a.B"], "dont_autoretry_for": ["KeyError", "a.B"], "retries": 1}, ("dont_autoretry_for", 1), "a.B stands in autoretry_for too"),
        ({"retry_on": [75], "retries": 1}, ("retry_on",), "retry_on belongs to commands, but this task calls a function"),
        ({"max_result": "17MiB"}, ("max_result",), "no result may be longer than 16MiB"),
        ({"result_expires": "1h", "ignore_result": True}, ("result_expires",), "result_expires limits what is stored, and ignore_result stores nothing"),
        ({"max_result": "1KiB", "ignore_result": True}, ("max_result",), "max_result limits what is stored, and ignore_result stores nothing"),
    ],
)  # fmt: skip
def test_options_of_functions_that_cannot_be_kept_are_refused(
    written: dict[str, object], path: tuple[str | int, ...], message: str
) -> None:
    assert faults_of(function="shop:send", **written) == [(path, message)]


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ({"soft_timeout": "5s", "timeout": "5s"}, ("soft_timeout",), "it would never be told: timeout ends it after 5s"),
        ({"soft_timeout": "1h", "timeout": 5}, ("soft_timeout",), "it would never be told: timeout ends it after 5s"),
        ({"soft_timeout": 0}, ("soft_timeout",), "a span of zero does not make sense here"),
        ({"soft_signal": "USR1"}, ("soft_signal",), "soft_signal is sent at soft_timeout, but there is none"),
        ({"soft_signal": "KILL", "soft_timeout": 1}, ("soft_signal",), "no program notices KILL"),
        ({"soft_signal": "STOP", "soft_timeout": 1}, ("soft_signal",), "SIGSTOP holds a process instead of ending it"),
        ({"soft_signal": "USR3", "soft_timeout": 1}, ("soft_signal",), 'there is no signal "USR3"'),
        ({"soft_signal": 15, "soft_timeout": 1}, ("soft_signal",), "15 is not the name of a signal"),
        ({"soft_signal": "5s", "soft_timeout": 1}, ("soft_signal",), '"5s" is not the name of a signal'),
    ],
)  # fmt: skip
def test_soft_limits_that_cannot_be_kept_are_refused(
    written: dict[str, object], path: tuple[str | int, ...], message: str
) -> None:
    assert faults_of(command=["true"], **written) == [(path, message)]


def test_a_timeout_may_be_a_share_of_the_usual_time() -> None:
    task = make_task("a", {"command": ["true"], "timeout": "300%", "soft_timeout": "1h"})
    assert task.timeout_s == Share(300)
    assert Task.from_json(task.to_json()) == task
    assert (Share(300).of(2.0), Share(150).of(0.001)) == (6.0, 1.0)


@pytest.mark.parametrize("written", ["100%", "-5%", "%", "1.5%", "100001%", "300 %%"])
def test_a_share_that_makes_no_sense_is_refused(written: str) -> None:
    (fault,) = faults_of(command=["true"], timeout=written)
    assert fault == (("timeout",), f'"{written}" is not a share of the usual time')


def test_retries_that_are_switched_off_keep_what_they_were_for() -> None:
    task = make_task("a", {"command": ["true"], "retries": 0, "retry_on": [75]})
    assert (task.retries, task.retry_on) == (0, (75,))


def test_classes_of_exceptions_survive_json() -> None:
    written = {
        "function": "a:b",
        "retries": 1,
        "autoretry_for": ["builtins.OSError", "a.f.<locals>.B"],
    }
    task = make_task("a", written)
    assert task.autoretry_for == ("OSError", "a.f.<locals>.B")
    assert Task.from_json(task.to_json()) == task


def test_standard_error_is_kept_apart_for_commands_only() -> None:
    assert make_task("a", {"shell": "x", "stderr": "separate"}).stderr == "separate"
    with pytest.raises(InvalidValue) as refused:
        make_task("a", {"function": "shop:add", "stderr": "separate"})
    (fault,) = refused.value.faults
    assert "stderr" in str(fault.path)
    assert "command" in f"{fault.message} {fault.hint}"


def test_true_and_false_are_backoffs() -> None:
    for written, factor in ((True, 2.0), (False, 0.0), (3, 3.0)):
        assert make_task("a", {"shell": "x", "retry_backoff": written}).retry_backoff == factor


def test_arguments_and_environment_stay_out_of_repr() -> None:
    written = {"shell": "x", "args": ["secret"], "kwargs": {"k": "secret"}, "env": {"K": "secret"}}
    assert "secret" not in repr(make_task("a", written))


def test_where_it_was_declared_does_not_make_a_task_another() -> None:
    task = make_task("a", {"shell": "x"})
    assert dataclasses.replace(task, source=Source(file="y", line=9)) == task


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ({"command": "ls -l"}, ("command",), '"ls -l" is not a list'),
        ({"command": []}, ("command",), "the list is empty"),
        ({"command": ["ls", 1]}, ("command", 1), "1 is not text"),
        ({"command": [""]}, ("command", 0), "the program has no name"),
        ({"command": ["a\0b"]}, ("command", 0), "the text holds a NUL character, which no program can be given"),
        ({"shell": "  "}, ("shell",), "the shell line is empty"),
        ({"function": "shop.add"}, ("function",), '"shop.add" is not a function'),
        ({"function": "os:system('x')"}, ("function",), "\"os:system('x')\" is not a function"),
        ({"shell": "x", "retires": 3}, ("retires",), 'unknown key "retires"'),
        ({"shell": "x", "retries": "3"}, ("retries",), '"3" is not a whole number'),
        ({"shell": "x", "retries": True}, ("retries",), "true is not a whole number"),
        ({"shell": "x", "retries": -1}, ("retries",), "-1 is out of range"),
        ({"shell": "x", "priority": 32768}, ("priority",), "32768 is out of range"),
        ({"shell": "x", "timeout": 0}, ("timeout",), "a span of zero does not make sense here"),
        ({"shell": "x", "success_codes": [256]}, ("success_codes", 0), "256 is out of range"),
        ({"shell": "x", "success_codes": [0, 0]}, ("success_codes", 1), "0 stands twice"),
        ({"shell": "x", "on_lost": "Retry"}, ("on_lost",), '"Retry" is not one of "fail", "retry"'),
        ({"shell": "x", "retry_backoff": 0.5}, ("retry_backoff",), "0.5 is not a backoff"),
        ({"shell": "x", "retry_backoff": float("nan")}, ("retry_backoff",), "nan is not a backoff"),
        ({"shell": "x", "umask": 22}, ("umask",), "22 is not a umask"),
        ({"shell": "x", "cwd": "tmp"}, ("cwd",), '"tmp" is not an absolute path'),
        ({"shell": "x", "env": {"A": 1}}, ("env", "A"), "the value of A is not text without NUL"),
        ({"shell": "x", "env": {"A-B": "1"}}, ("env", "A-B"), '"A-B" cannot name a variable'),
        ({"shell": "x", "kwargs": {"a": float("inf")}}, ("kwargs", "a"), "inf is not a number that JSON has"),
        ({"shell": "x", "args": [object]}, ("args", 0), "<class 'object'> is not a JSON value"),
        ({"shell": "x", "queue": "a b"}, ("queue",), '"a b" is not a name'),
        ({"shell": "x", "command": ["x"]}, ("shell",), "a task has one of command, shell, function, but command and shell are set"),
        ({"function": "a:b", "user": "root"}, ("user",), "user belongs to commands, but this task calls a function"),
        ({}, (), "nothing to run: no command, shell or function"),
    ],
)  # fmt: skip
def test_what_a_task_cannot_be_is_told_with_its_place(
    written: dict[str, object], path: tuple[str | int, ...], message: str
) -> None:
    assert faults_of(**written) == [(path, message)]


def test_all_faults_of_a_task_are_told_at_once() -> None:
    found = faults_of(shell="x", retires=1, timeout="soon", env={"1": "x", "B": 2}, on_lost="no")
    assert [path for path, _ in found] == [
        ("retires",),
        ("timeout",),
        ("env", "1"),
        ("env", "B"),
        ("on_lost",),
    ]


def test_variables_of_ours_cannot_be_set() -> None:
    assert faults_of(shell="x", env={"JOBCTL_ATTEMPT": "1"})[0][0] == ("env", "JOBCTL_ATTEMPT")


def test_json_that_is_nested_without_end_is_refused() -> None:
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    assert "nested deeper" in faults_of(shell="x", args=deep)[0][1]


def test_a_name_that_is_none_is_refused() -> None:
    for name in ("", "a b", "-a", "ä", "a" * 201, "../x"):
        assert "is not a name" in faults_of(name, shell="x")[0][1]


def test_a_nearby_word_is_offered() -> None:
    with pytest.raises(InvalidValue) as caught:
        make_task("a", {"shell": "x", "on-overlap": "skip"})
    assert caught.value.hint == 'Did you mean "on_overlap"?'


def test_among_too_many_words_no_similar_one_is_looked_for() -> None:
    many = [f"schedule-{number}" for number in range(100_000)]
    assert nearest("schedule-x", many[:1000]).startswith("schedule-")
    assert nearest("schedule-x", many) == ""


@pytest.mark.parametrize(
    ("word", "near"),
    [("month-ends", "month-end"), ("ON-OVERLAP", "on_overlap"), ("xyz", ""), ("", "")],
)
def test_the_nearest_word_is_found_whatever_its_case(word: str, near: str) -> None:
    assert nearest(word, ("month-end", "on_overlap", "on_missed")) == near


def test_an_invalid_value_is_an_error_of_ours() -> None:
    with pytest.raises(UsageError):
        parse_span("soon")


def test_null_counts_as_not_written_and_none_is_not_written() -> None:
    values = read_values(keys_of(Task), {"shell": "x", "timeout": None})
    assert values == {"shell": "x"}
    assert "timeout" not in write_values(Task(name="a", shell="x"))


def test_every_key_carries_help_and_a_kind() -> None:
    for name, bound in keys_of(Task).items():
        assert bound.key.help.endswith((".", "`.")), name
        assert bound.key.mark.word, name
