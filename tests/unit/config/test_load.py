"""A configuration is read whole, and everything that is wrong with it is told at once."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobctl.config.files import LARGEST_FILE_BYTES, MOST_SYNTAX_FAULTS
from jobctl.config.load import load, load_or_raise
from jobctl.errors import ConfigError, Problem

if TYPE_CHECKING:
    from jobctl.plan import FilePlan

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes jobctl.toml, and drop-ins given as name = text, and gives its path."""

    def write_files(text: str, **drop_ins: str) -> Path:
        path = tmp_path / "jobctl.toml"
        path.write_text(textwrap.dedent(text))
        for name, more in drop_ins.items():
            (tmp_path / "conf.d").mkdir(exist_ok=True)
            (tmp_path / "conf.d" / f"{name}.toml").write_text(textwrap.dedent(more))
        return path

    return write_files


def problems(path: Path) -> tuple[Problem, ...]:
    loaded = load(path)
    assert loaded.plan is None
    assert loaded.problems
    return loaded.problems


def told(path: Path) -> list[tuple[int, int, str, str]]:
    """The problems as (line, column, key, message)."""
    return [(each.line, each.column, each.key, each.message) for each in problems(path)]


def plan_of(path: Path) -> FilePlan:
    loaded = load(path)
    assert loaded.problems == ()
    assert loaded.plan is not None
    return loaded.plan


def test_six_different_mistakes_are_all_told(write: Write) -> None:
    path = write(
        """\
        [daemon]
        timezone = "Europe/Berln"
        [tasks.backup]
        command = ["pg_dump"]
        retires = 3
        timeout = "soon"
        cron = "0 25 * * *"
        [schedules.month-end]
        task = "bakcup"
        every = "5m"
        [worker.x]
        """
    )
    assert told(path) == [
        (2, 12, "daemon.timezone", '[daemon]: unknown time zone "Europe/Berln"'),
        (5, 1, "tasks.backup.retires", 'task "backup": unknown key "retires"'),
        (6, 11, "tasks.backup.timeout", 'task "backup": "soon" is not a span of time'),
        (
            7,
            8,
            "tasks.backup.cron",
            'task "backup": hour: 25 is out of range 0-23 (column 3 of "0 25 * * *")',
        ),
        (9, 8, "schedules.month-end.task", 'schedule "month-end": there is no task "bakcup"'),
        (11, 1, "worker", 'unknown table "worker"'),
    ]
    assert [each.hint for each in problems(path)][:2] == [
        'Did you mean "Europe/Berlin"?',
        'Did you mean "retries"?',
    ]
    assert problems(path)[1].source == "retires = 3"


def test_a_correct_file_is_a_plan_that_knows_where_things_stand(write: Write) -> None:
    plan = plan_of(
        write(
            """\
            [workers.default]
            queues = ["default"]
            [tasks.backup]
            shell = "true"
            every = "5m"
            """
        )
    )
    assert [(task.name, task.source.line) for task in plan.tasks] == [("backup", 3)]
    assert plan.schedules[0].name == "backup"
    assert plan.groups[0].queues == ("default",)


def test_a_syntax_error_does_not_hide_what_stands_behind_it(write: Write) -> None:
    path = write(
        """\
        [tasks.a]
        shell = "echo
        retries = "many"
        [tasks.b]
        command = ["x",
          "y"
        timeout = "soon"
        [tasks.c
        shell = "x"
        bad = 1
        [tasks.d]
        retries = 1 2
        shell = "x"
        """
    )
    assert [(line, key) for line, _, key, _ in told(path)] == [
        (2, "tasks.a.shell"),
        (3, "tasks.a.retries"),
        (5, "tasks.b.command"),
        (7, "tasks.b.timeout"),
        (8, "tasks.c"),
        (12, "tasks.d.retries"),
    ]


def test_nothing_is_concluded_from_what_a_syntax_error_took_away(write: Write) -> None:
    path = write(
        """\
        [tasks.a]
        shell = echo
        [schedules.x]
        task = "a"
        cron = @daily
        [tasks.b
        shell = "x"
        [schedules.y]
        task = "b"
        every = "5m"
        """
    )
    assert [line for line, *_ in told(path)] == [2, 5, 6]


@pytest.mark.parametrize(
    "faulty",
    [
        '[workers.a]\nqueues = ["default"]\n[workers.b]\nqueus = ["io"]\n',
        '[daemon]\nimports = "shop"\n',
        '[daemon]\nimports = ["shop\n',
    ],
)
def test_a_faulty_group_or_import_brings_no_errors_in_its_train(write: Write, faulty: str) -> None:
    rest = "[tasks.t]\nshell = 'x'\nqueue = 'io'\n[schedules.s]\ntask = 'of.code'\nevery = '5m'\n"
    found = told(write(faulty + (rest if "imports" in faulty else rest.split("[sched")[0])))
    assert len(found) == 1
    assert found[0][2].startswith(("workers.b.queus", "daemon.imports"))


def test_a_key_or_table_defined_twice_names_the_first(write: Write) -> None:
    path = write(
        """\
        [tasks.a]
        shell = "x"
        shell = "y"
        [tasks.a]
        retries = 1
        """
    )
    assert told(path) == [
        (3, 1, "tasks.a.shell", "tasks.a.shell is defined twice; first at line 2"),
        (4, 1, "tasks.a", "tasks.a is defined twice; first at line 1"),
    ]


def test_an_endless_row_of_syntax_errors_ends(write: Write) -> None:
    assert len(problems(write("= 1\n" * 1000))) == MOST_SYNTAX_FAULTS


def test_text_that_is_never_closed_is_told_where_it_begins(write: Write) -> None:
    [problem] = problems(write('[tasks.a]\nshell = """\nx\n\n[tasks.b]\nshell = "x"\n'))
    assert (problem.line, problem.key) == (2, "tasks.a.shell")


def test_values_nested_without_end_are_a_problem_and_no_crash(write: Write) -> None:
    assert problems(write("x = " + "[" * 100_000))


# conf.d


def test_drop_ins_are_merged_in_the_order_of_their_names(write: Write) -> None:
    path = write(
        "[tasks.a]\nshell = 'x'\n", b="[tasks.b]\nshell = 'x'\n", a="[tasks.c]\nshell = 'x'\n"
    )
    (path.parent / "conf.d" / "note.txt").write_text("not read")
    (path.parent / "conf.d" / ".hidden.toml").write_text("not read")
    plan = plan_of(path)
    assert [task.name for task in plan.tasks] == ["a", "c", "b"]
    assert [Path(name).name for name in plan.files] == ["jobctl.toml", "a.toml", "b.toml"]


def test_a_table_in_two_files_is_refused_and_both_places_are_named(write: Write) -> None:
    path = write(
        "[daemon]\nkeep = '1d'\n[tasks.a]\nshell = 'x'\n",
        z="[tasks.a]\nretries = 1\n[daemon]\nkeep = '2d'\n",
    )
    first, second = problems(path)
    assert Path(first.file).name == "z.toml"
    assert first.message == f'task "a": defined twice, here and at {path}:3'
    assert second.message == f"[daemon]: defined twice, here and at {path}:1"


def test_a_schedule_may_name_a_task_of_another_file(write: Write) -> None:
    path = write("[tasks.a]\nshell = 'x'\n", z="[schedules.s]\ntask = 'a'\nevery = '5m'\n")
    assert plan_of(path).schedules[0].task == "a"


def test_an_empty_drop_in_is_no_problem(write: Write) -> None:
    plan_of(write("[tasks.a]\nshell = 'x'\n", z=""))


# Files that cannot be read


@pytest.mark.parametrize("text", ["", "  \n\n"])
def test_an_empty_file_is_refused(write: Write, text: str) -> None:
    assert [problem.message for problem in problems(write(text))] == ["the file is empty"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    [problem] = problems(tmp_path / "none.toml")
    assert (problem.message, problem.line) == ("there is no such file", 0)


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    [problem] = problems(tmp_path)
    assert problem.message == "the file cannot be read: it is a folder"


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    [problem] = problems(tmp_path / "pipe")
    assert problem.message == "the file cannot be read: it is not a regular file"


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.toml"
    with path.open("wb") as file:
        file.truncate(LARGEST_FILE_BYTES + 1)
    [problem] = problems(path)
    assert problem.message == "the file is larger than 8MiB"


def test_bytes_that_are_not_utf8_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b"[tasks.a]\nshell = 'caf\xe9'\n")
    [problem] = problems(path)
    assert (problem.line, problem.column) == (2, 13)
    assert problem.message == "the byte 0xe9 is not UTF-8"


def test_a_byte_order_mark_and_carriage_returns_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf[tasks.a]\r\nshell = 'x'\r\nbad = 1\r\n")
    [problem] = problems(path)
    assert (problem.line, problem.column, problem.source) == (3, 1, "bad = 1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(write: Write) -> None:
    path = write("[tasks.a]\nshell = 'x'\n")
    path.chmod(0)
    assert problems(path)[0].message == "the file cannot be read: Permission denied"


# Tables and keys


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("tasks = 1", 1, "[tasks]: 1 is not a table", "Write [tasks.NAME]."),
        ("daemon = []", 1, "[daemon]: [] is not a table", "Write [daemon]."),
        ("[tasks]\na = 1", 2, 'task "a": 1 is not a table', "Write [tasks.a]."),
        ("[tasks]\nshell = 'x'", 2, 'task "shell": "x" is not a table', "A task has a name: write [tasks.NAME] above its keys."),
        ("[web]", 1, "[web] is not available yet", "Remove it."),
        ("[tasks.'a b']\nshell = 'x'", 1, 'task "a b": "a b" is not a name', None),
        ("[tasks.a]\nshell = 'x'\ncelery = 1", 3, 'task "a": "celery" is not available yet', None),
        ("[workers.a]\npool = 'gevent'", 2, 'worker group "a": "gevent" is not a pool', 'Write pool = "prefork", "async" or "threads".'),
        ("[workers.a]\npool = 'threads'\n[tasks.a]\nfunction = 'a:b'\ntimeout = 1", 5, 'task "a": worker group "a" with pool = "threads" serves the queue "default", and nobody can stop a thread', None),
        ("[workers.a]\nconcurrency = 10", 2, 'worker group "a": concurrency means nothing for pool = "prefork": one function at once runs in each process', 'Write processes = 10, or another pool: "async" for coroutine functions, "threads".'),
        ("[workers.a]\nmax_memory_per_child = 0", 2, 'worker group "a": 0B is less than an empty worker takes', None),
        ("[queues.a]\nconcurency = 10", 2, 'queue "a": unknown key "concurency"', 'Did you mean "concurrency"?'),
        ("[schedules.a]\nevery = '5m'", 1, 'schedule "a": the key "task" is missing', None),
        ("[tasks.t]\nshell = 'x'\n[schedules.a]\ntask = 't'", 3, 'schedule "a": no every, cron, at or solar says when it is due', None),
        ("[tasks.a]\nshell = 'x'\nargs = [1, 2030-01-01]", 3, 'task "a": 2030-01-01 is not a JSON value', None),
        ("[tasks.a]\nshell = 'x'\nuser = 'nobody-here'", 3, 'task "a": there is no user "nobody-here" here', None),
        ("[tasks.a]\nshell = 'x'\nat = 'tomorrow'", 3, 'task "a": "tomorrow" is not a date with a time', None),
        ("[tasks.a]\nshell = 'x'\nsolar = {event = 'sunset'}", 3, 'task "a": the key "latitude" is missing', None),
    ],
)  # fmt: skip
def test_what_a_file_gets_wrong(
    write: Write, text: str, line: int, message: str, hint: str | None
) -> None:
    first = problems(write(text))[0]
    assert (first.line, first.message) == (line, message)
    assert hint is None or first.hint == hint


def test_moments_may_be_written_as_toml_moments(write: Write) -> None:
    plan = plan_of(
        write(
            """\
            [tasks.a]
            shell = "x"
            at = 2030-01-31 12:00:00
            [schedules.b]
            task = "a"
            at = 2030-01-31T12:00:00+01:00
            [schedules.c]
            task = "a"
            at = 2030-01-31
            """
        )
    )
    assert [spec.expression for spec in plan.schedules] == [
        "2030-01-31 12:00:00",
        "2030-01-31 12:00:00+01:00",
        "2030-01-31",
    ]


def test_a_table_without_a_body_waits_for_the_code_when_modules_are_imported(write: Write) -> None:
    text = '[tasks."shop.send"]\nretries = 1\n[schedules.s]\ntask = "shop.send"\nevery = "1h"\n'
    plan = plan_of(write('[daemon]\nimports = ["shop"]\n' + text))
    assert plan.overrides[0].options == {"retries": 1}
    assert [line for line, *_ in told(write(text))] == [1]


def test_all_of_the_errors_come_with_the_exception(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load_or_raise(write("[tasks.a]\nshell = 'x'\nb = 1\nc = 2\n"))
    assert len(caught.value.problems) == 2
    assert caught.value.exit_code == 78
