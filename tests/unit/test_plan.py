"""One plan from file, code and store; what clashes; what a reload changes."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING

import pytest

from jobctl.arguments import Parameter
from jobctl.errors import NotFound, PlanError
from jobctl.plan import (
    CodeReport,
    CodeTask,
    DaemonSettings,
    FilePlan,
    ImportFailure,
    Override,
    Plan,
    PlanRefused,
    Queue,
    ScheduleSpec,
    WorkerGroup,
    check_file,
    check_schedule,
    difference,
    merge,
    read_schedule,
    read_stored,
)
from jobctl.plan.check import coroutine_faults, dotted, thread_faults
from jobctl.plan.tables import TABLES, TASK_KEYS, read_task_table
from jobctl.task import Source, Task
from jobctl.task.units import InvalidValue

if TYPE_CHECKING:
    from jobctl.task.keys import Json


def at(line: int, file: str = "jobctl.toml") -> Source:
    return Source(file=file, line=line, column=1)


def task(name: str = "backup", line: int = 1, **options: object) -> Task:
    written = {"command": ["true"], **options}
    if "function" in options or "shell" in options:
        del written["command"]
    table = read_task_table(name, written, source=at(line))
    assert table.task is not None
    return table.task


def schedule(name: str = "nightly", line: int = 1, **written: object) -> ScheduleSpec:
    return read_schedule(name, {"task": "backup", "every": "5m", **written}, source=at(line))


def override(name: str = "shop.send", line: int = 1, **options: Json) -> Override:
    return Override(name=name, options=options, source=at(line))


def code_task(name: str = "shop.send", **options: Json) -> CodeTask:
    return CodeTask(
        name=name,
        function="shop:send",
        options=options,
        parameters=(Parameter(name="to"),),
        source=Source(file="shop.py", line=7),
    )


def report(*tasks: CodeTask, group: str = "default", failed: str = "") -> CodeReport:
    failures = (ImportFailure(module=failed, message="ImportError: no"),) if failed else ()
    return CodeReport(group=group, tasks=tasks, failures=failures)


def file(*parts: object, **settings: object) -> FilePlan:
    def of(kind: type) -> tuple[object, ...]:
        return tuple(part for part in parts if isinstance(part, kind))

    return FilePlan(
        files=("jobctl.toml",),
        settings=DaemonSettings(**settings),  # type: ignore[arg-type]
        groups=of(WorkerGroup),  # type: ignore[arg-type]
        queues=of(Queue),  # type: ignore[arg-type]
        tasks=of(Task),  # type: ignore[arg-type]
        overrides=of(Override),  # type: ignore[arg-type]
        schedules=of(ScheduleSpec),  # type: ignore[arg-type]
    )


def refused(*args: object, **kwargs: object) -> list[tuple[str, str, int]]:
    """The problems of a merge as (key, message, line)."""
    with pytest.raises(PlanRefused) as caught:
        merge(*args, **kwargs)  # type: ignore[arg-type]
    return [(problem.key, problem.message, problem.line) for problem in caught.value.problems]


# What is in force.


def test_an_empty_file_is_a_plan_with_one_group_that_serves_everything() -> None:
    plan = merge(file())
    assert [*plan.groups] == ["default"]
    assert [group.name for group in plan.groups_serving("anything")] == ["default"]
    assert plan.groups["default"].processes >= 1
    assert plan.settings.timezone == "UTC"


def test_a_queue_exists_as_soon_as_something_names_it() -> None:
    group = WorkerGroup(name="a", queues=("io", "mail"))
    plan = merge(file(task(queue="mail"), group, Queue(name="io", concurrency=2)))
    assert plan.queue("mail") == Queue(name="mail")
    assert plan.queue("io").concurrency == 2
    assert set(plan.queues) == {"io", "mail"}


def test_a_group_without_queues_serves_those_that_no_other_names() -> None:
    io = WorkerGroup(name="io", queues=("io",))
    rest = WorkerGroup(name="rest")
    plan = merge(file(io, rest))
    assert plan.groups_serving("io") == (io,)
    assert plan.groups_serving("default") == (rest,)


def test_a_task_is_found_by_its_name_and_by_its_alias() -> None:
    plan = merge(file(task("new", aliases=["old"])))
    assert plan.find("old") == plan.find("new") == plan.task("old")
    assert plan.find("none") is None
    with pytest.raises(NotFound) as caught:
        plan.task("newer")
    assert caught.value.hint == 'Did you mean "new"?'


def test_schedules_take_zone_arguments_and_policies_from_what_is_around_them() -> None:
    target = task(args=["a"], kwargs={"x": 1, "y": 2}, on_overlap="queue", on_missed="all")
    own = schedule("own", args=["b"], kwargs={"y": 3}, on_missed="once", timezone="Asia/Tokyo")
    plan = merge(file(target, own, schedule("plain")), host_timezone="Europe/Berlin")
    assert plan.schedules["own"].timezone == "Asia/Tokyo"
    assert plan.schedules["plain"].timezone == "Europe/Berlin"
    assert plan.arguments_of(plan.schedules["own"]) == (("b",), {"x": 1, "y": 3})
    assert plan.arguments_of(plan.schedules["plain"]) == (("a",), {"x": 1, "y": 2})
    assert plan.on_overlap_of(plan.schedules["own"]) == "queue"
    assert plan.on_missed_of(plan.schedules["own"]) == "once"
    assert {spec.name for spec in plan.schedules_of("backup")} == {"own", "plain"}


def test_the_zone_of_the_daemon_goes_before_that_of_the_host() -> None:
    plan = merge(file(task(), schedule(), timezone="Asia/Tokyo"), host_timezone="Europe/Berlin")
    assert plan.settings.timezone == plan.schedules["nightly"].timezone == "Asia/Tokyo"


def test_a_group_imports_what_the_daemon_names_its_own_and_what_its_functions_need() -> None:
    mail = WorkerGroup(name="mail", queues=("mail",), imports=("shop.mail", "shop"))
    rest = WorkerGroup(name="rest")
    tasks = (task("f", function="a.b:c", queue="mail"), task("g", function="d:e"), task("h"))
    plan = merge(file(mail, rest, *tasks, imports=("shop",)))
    assert plan.modules_of(mail) == ("shop", "shop.mail", "a.b")
    assert plan.modules_of(rest) == ("shop", "d")


# The code.


def test_a_task_of_the_code_is_in_the_plan_with_its_parameters() -> None:
    plan = merge(file(), [report(code_task(retries=2, every="1h", args=["a@b.c"]))])
    assert plan.task("shop.send").function == "shop:send"
    assert plan.task("shop.send").retries == 2
    assert plan.parameters["shop.send"] == (Parameter(name="to"),)
    assert plan.schedules["shop.send"].expression == "1h"
    assert plan.task("shop.send").source.file == "shop.py"


def test_the_file_overrides_the_code_key_by_key() -> None:
    written = override(retries=5, queue="mail", line=3)
    plan = merge(file(written), [report(code_task(retries=2, timeout=30))])
    merged = plan.task("shop.send")
    assert (merged.retries, merged.queue, merged.timeout_s) == (5, "mail", 30.0)
    assert merged.source == at(3)


def test_a_schedule_of_the_file_replaces_that_of_the_code_whole() -> None:
    code = code_task(cron="0 2 * * *", timezone="Asia/Tokyo", args=["a@b.c"])
    spec = merge(file(override(every="5m")), [report(code)]).schedules["shop.send"]
    assert (spec.kind, spec.expression) == ("interval", "5m")


def test_the_same_task_reported_by_two_groups_is_one() -> None:
    reports = [report(code_task(), group="a"), report(code_task(), group="b")]
    assert [*merge(file(), reports).tasks] == ["shop.send"]


def test_a_report_survives_json() -> None:
    whole = CodeReport(
        group="default",
        tasks=(code_task(retries=1),),
        functions={"a:b": None, "c:d": (Parameter(name="x", annotation="int"),)},
        failures=(ImportFailure(module="gone", message="ImportError: no"),),
    )
    assert CodeReport.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_the_signature_of_a_function_that_the_file_names_is_known() -> None:
    found = CodeReport(group="default", functions={"a:b": (Parameter(name="x"),)})
    assert merge(file(task(function="a:b")), [found]).parameters["backup"] == (Parameter(name="x"),)


# Clashes.


def test_a_task_of_file_and_code_is_refused_and_both_places_are_named() -> None:
    found = refused(file(task("shop.send", line=4)), [report(code_task())])
    assert found == [
        (
            'tasks."shop.send"',
            'task "shop.send": declared twice, here and in the code at shop.py:7',
            4,
        )
    ]


def test_two_groups_that_report_a_task_differently_are_refused() -> None:
    other = dataclasses.replace(code_task(), function="shop.other:send")
    [(_, message, _)] = refused(file(), [report(code_task(), group="a"), report(other, group="b")])
    assert 'worker group "b"' in message
    assert 'worker group "a"' in message


def test_two_schedules_of_one_name_are_refused_and_both_places_are_named() -> None:
    own = read_task_table("backup", {"shell": "x", "every": "5m"}, source=at(3))
    assert own.task is not None
    assert own.schedule is not None
    found = refused(file(own.task, own.schedule, schedule("backup", line=9)))
    assert found == [
        ("schedules.backup", 'schedule "backup": declared twice, here and at jobctl.toml:3', 9)
    ]


def test_a_stored_schedule_with_the_name_of_one_of_the_file_is_refused() -> None:
    [(_, message, _)] = refused(file(task(), schedule(line=5)), [], [stored()])
    assert "jobctl.toml:5" in message


def test_at_start_the_file_goes_before_a_stored_schedule_of_its_name() -> None:
    plan = merge(file(task(), schedule(line=5)), [], [stored()], strict=False)

    assert not plan.schedules["nightly"].is_stored


def test_an_override_without_its_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(PlanRefused) as caught:
        merge(file(override("shop.sendd", line=8)), [report(code_task())])
    assert caught.value.problems[0].line == 8
    assert caught.value.hint == 'Did you mean "shop.send"?'
    assert isinstance(caught.value, PlanError)


def test_a_wrong_option_in_the_code_is_told_at_its_place() -> None:
    [(key, message, line)] = refused(file(), [report(code_task(retires=3))])
    assert key == 'tasks."shop.send".retires'
    assert message == 'task "shop.send": unknown key "retires"'
    assert line == 7


def test_arguments_that_the_function_cannot_take_are_found_before_any_job() -> None:
    [(_, message, _)] = refused(file(), [report(code_task(every="1h"))])
    assert (
        message == 'task "shop.send": its jobs could not run: the function needs the argument "to"'
    )


@pytest.mark.parametrize(
    ("key", "words"),
    [("{too}", "no argument {too}"), ("{9}", "no argument {9}"), ("{to}", ""), ("{1}", "")],
)
def test_a_key_that_names_no_argument_of_its_function_is_found(key: str, words: str) -> None:
    code = [report(code_task(concurrency_key=key))]
    if not words:
        assert merge(file(), code).tasks["shop.send"].concurrency_key == key
        return
    [(name, message, _)] = refused(file(), code)
    assert name == 'tasks."shop.send".concurrency_key'
    assert words in message


def test_everything_wrong_is_told_at_once() -> None:
    found = refused(
        file(
            task("shop.send", queue="lost"),
            schedule("a", task="gone"),
            schedule("b", cron="61 * * * *", every=None),
            WorkerGroup(name="g", queues=("default",)),
        ),
        [report(code_task(), failed="shop.other")],
    )
    assert len(found) == 6


# Modules that do not import.


def test_a_module_that_does_not_import_refuses_a_reload() -> None:
    [(_, message, _)] = refused(file(imports=("shop",)), [report(failed="shop")])
    assert "shop cannot be imported" in message
    assert "ImportError: no" in message


def test_before_code_is_imported_nothing_is_concluded_from_the_absence_of_its_tasks() -> None:
    declared = file(
        override("shop.send", every="1h"), schedule("later", task="shop.add"), imports=("shop",)
    )
    plan = merge(declared, strict=False)
    assert plan.unavailable == {"shop.send": "its module is not imported yet"}
    assert set(plan.schedules) == {"shop.send", "later"}


def test_what_no_module_could_declare_is_a_fault_before_code_is_imported() -> None:
    with pytest.raises(PlanRefused, match="nothing to run"):
        merge(file(override("shop.send")), strict=False)


def test_at_start_only_its_tasks_are_unavailable() -> None:
    declared = file(
        task("ok"),
        task("f", function="shop:f"),
        override("shop.send", every="1h"),
        schedule("later", task="shop.send"),
        imports=("shop",),
    )
    plan = merge(declared, [report(failed="shop")], strict=False)
    assert set(plan.unavailable) == {"f", "shop.send"}
    assert "ImportError" in plan.unavailable["f"]
    assert set(plan.tasks) == {"ok", "f"}
    assert set(plan.schedules) == {"shop.send", "later"}
    with pytest.raises(NotFound, match="unavailable"):
        plan.task("shop.send")


def test_a_stored_schedule_without_its_task_is_held_not_refused() -> None:
    plan = merge(file(), [], [stored(task="gone")])
    assert plan.schedules["nightly"].task == "gone"
    assert plan.on_overlap_of(plan.schedules["nightly"]) == "skip"
    assert plan.missed_limit_of(plan.schedules["nightly"]) == 100


@pytest.mark.parametrize(
    "written",
    [{"cron": "0 2 * * *", "timezone": "Europe/Atlantis"}, {"args": ["a", "b"], "task": "f"}],
)
def test_a_stored_schedule_that_fits_no_more_does_not_refuse_the_plan(
    written: dict[str, object],
) -> None:
    spec = stored(**written)
    plan = merge(file(task(), task("f", function="m:f")), [report_of_f()], [spec])

    assert plan.schedules["nightly"].is_stored


def stored(**written: object) -> ScheduleSpec:
    when = {} if written.keys() & {"cron", "at"} else {"every": "5m"}
    return read_stored("nightly", json.dumps({"task": "backup", **when, **written}))


def report_of_f() -> CodeReport:
    return CodeReport(group="default", functions={"m:f": ()})


# One schedule is added to a plan in force.

NOW = 1_800_000_000 * 1_000_000


def in_force(*parts: object) -> Plan:
    return merge(file(task(), task("f", function="m:f"), *parts), [report_of_f()])


def faults_of(spec: ScheduleSpec, plan: Plan, *, replaces: bool = False) -> list[tuple[str, str]]:
    with pytest.raises(PlanRefused) as caught:
        check_schedule(plan, spec, now=NOW, replaces=replaces)
    return [(problem.key, problem.message) for problem in caught.value.problems]


def test_a_schedule_that_fits_is_added_and_removed_without_a_merge() -> None:
    plan = in_force()
    spec = stored(start="2027-01-01", end="2027-01-15 08:00:01", at="2027-01-15 08:00:01")
    check_schedule(plan, spec, now=NOW)

    added = plan.with_schedule(spec)

    assert added.schedules["nightly"] == dataclasses.replace(spec, timezone="UTC")
    assert dict(plan.schedules) == {}
    assert added.without_schedule("nightly") == plan
    assert added.schedules_of("backup") == (added.schedules["nightly"],)


def test_everything_wrong_with_an_added_schedule_is_told_at_once() -> None:
    spec = stored(task="backpu", cron="0 25 * * *", timezone="Europe/Berln", end="2027")
    told = faults_of(spec, in_force())

    assert [key for key, _ in told] == [
        "schedules.nightly.timezone",
        "schedules.nightly.cron",
        "schedules.nightly.end",
        "schedules.nightly.task",
    ]
    assert all(message.startswith('schedule "nightly": ') for _, message in told)


@pytest.mark.parametrize(
    ("written", "key", "words"),
    [
        ({"at": "2027-01-15 08:00"}, "at", "2027-01-15 08:00 is past"),
        ({"every": "1h", "end": "2027-01-15"}, "end", "the end, 2027-01-15, is past"),
        ({"task": "f", "args": [1]}, "args", "its jobs could not run"),
        ({"start": "2027-03-01", "end": "2027-02-01"}, "end", "is before the start"),
        ({"cron": "0 0 29 2 *", "start": "2027-02-01", "end": "2027-04-01"}, "end", "no instant lies"),
        ({"at": "2028-01-01", "end": "2027-04-01"}, "end", "no instant lies"),
        ({"expires": "5m", "jitter": "5m"}, "expires", "could expire before they are made"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_added_schedule(
    written: dict[str, object], key: str, words: str
) -> None:
    [(found, message)] = faults_of(stored(**written), in_force())
    assert found == f"schedules.nightly.{key}"
    assert words in message


def test_a_name_that_is_taken_is_told_with_its_place() -> None:
    [(_, message)] = faults_of(stored(), in_force(schedule(line=7)))
    assert "the name is taken at jobctl.toml:7" in message
    [(_, message)] = faults_of(stored(), in_force(schedule(line=7)), replaces=True)
    assert "the name is taken at jobctl.toml:7" in message


def test_a_stored_schedule_is_replaced_only_when_that_is_meant() -> None:
    plan = in_force().with_schedule(stored())

    check_schedule(plan, stored(every="9m"), now=NOW, replaces=True)
    [(_, message)] = faults_of(stored(every="9m"), plan)
    assert "there is one already" in message


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a table"),
        ('{"task":"backup"}', "says when it is due"),
        ('{"task":"backup","every":"5m","nights":1}', 'unknown key "nights"'),
    ],
)
def test_a_stored_table_that_cannot_be_read_is_an_error(table: str, words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        read_stored("nightly", table)


def test_a_task_may_be_disabled_and_bounded_in_its_own_table() -> None:
    table = read_task_table(
        "backup",
        {"command": ["true"], "every": "5m", "enabled": False, "max_runs": 3, "end": "2030-01-01"},
        source=at(1),
    )
    assert table.schedule is not None
    assert (table.schedule.enabled, table.schedule.max_runs) == (False, 3)
    assert table.schedule.end == "2030-01-01"


# What a file is judged for by itself.


@pytest.mark.parametrize(
    ("parts", "key", "words"),
    [
        ([schedule(task="gone")], "schedules.nightly.task", 'no task "gone"'),
        ([override("x", retries=1)], "tasks.x", "nothing to run"),
        ([task(), schedule(timezone="Mars/Base")], "schedules.nightly.timezone", "unknown time zone"),
        ([task(), schedule(every="1ms")], "schedules.nightly.every", 'shorter than a second'),
        ([task(command=["x", "{0}"])], "tasks.backup.command[1]", "no argument {0}"),
        ([task(command=["x", "{to}"]), schedule()], "schedules.nightly", "needs the argument {to}"),
        ([task(command=["x", "{2}"]), schedule(args=["a"])], "schedules.nightly.args", "needs the argument {2}"),
        ([task(concurrency_key="{to}"), schedule()], "schedules.nightly", "its key needs the argument {to}"),
        ([task(unique="{to}"), schedule()], "schedules.nightly", "its key needs the argument {to}"),
        ([task(unique="task"), schedule(on_overlap="queue")], "schedules.nightly.on_overlap", "allows none"),
        ([task(unique="args", on_overlap="replace"), schedule()], "schedules.nightly", "allows none"),
        ([task("a", aliases=["b"]), task("b")], "tasks.a.aliases[0]", "taken by task"),
        ([task("a", aliases=["x"]), task("b", aliases=["x"])], "tasks.b.aliases[0]", "taken by task"),
        ([task(queue="io"), WorkerGroup(name="g", queues=("default",))], "tasks.backup.queue", "no worker group serves"),
        ([task(), Queue(name="io", rate_burst=2)], "queues.io.rate_burst", "there is no rate_limit"),
        ([Queue(name="io"), WorkerGroup(name="g", queues=("default",))], "queues.io", "no worker group serves"),
    ],
)  # fmt: skip
def test_what_a_file_gets_wrong_by_itself(parts: list[object], key: str, words: str) -> None:
    found = check_file(file(*parts))
    assert [dotted(fault.path) for fault in found] == [key]
    assert words in found[0].message


def test_what_the_code_may_still_declare_is_left_to_the_merge() -> None:
    declared = file(override("shop.send"), schedule(task="shop.send"), imports=("shop",))
    assert check_file(declared) == ()


def test_nothing_is_concluded_from_what_could_not_be_read() -> None:
    declared = file(schedule(task="gone"), task(queue="io"), WorkerGroup(name="g", queues=("x",)))
    assert check_file(declared, whole=False) == ()
    assert check_file(file(schedule(task="gone")), seen={"gone": at(1)}) == ()


# JSON.


def test_what_a_file_declares_survives_json() -> None:
    whole = file(
        task(args=["a"], env={"A": "b"}),
        override(every="5m", retries=2),
        schedule(cron="0 2 * * *", every=None, kwargs={"x": [1]}, jitter="10s", enabled=False),
        schedule("sun", every=None, solar={"event": "sunset", "latitude": 52.5, "longitude": 13}),
        Queue(name="io", concurrency=3, description="slow"),
        WorkerGroup(name="g", env={"A": "b"}, pythonpath=("/srv",), python="/usr/bin/python3"),
        WorkerGroup(name="h", queues=("io",)),
        timezone="Asia/Tokyo",
        imports=("shop",),
        keep_s=60.0,
    )
    again = FilePlan.from_json(json.loads(json.dumps(whole.to_json())))
    assert again == whole
    assert again.schedules[0].source == whole.schedules[0].source
    assert again.groups[0].queues == ()


def test_a_plan_that_is_no_plan_is_refused() -> None:
    good = file(task()).to_json()
    with pytest.raises(KeyError):
        FilePlan.from_json({})
    with pytest.raises(InvalidValue):
        FilePlan.from_json({**good, "workers": [{"name": "g", "source": at(1).to_json(), "x": 1}]})


def test_what_people_see_of_a_plan_hides_secrets() -> None:
    plan = merge(file(task(env={"K": "secret"}, args=["secret"]), schedule(kwargs={"k": "secret"})))
    shown = json.dumps(plan.to_json())
    assert "secret" not in shown
    assert '"K": "\\u2026"' in shown


def test_a_limit_of_time_has_no_place_in_a_queue_of_threads() -> None:
    groups = (WorkerGroup(name="t", queues=("t",), pool="threads"), WorkerGroup(name="rest"))
    tasks = [
        task("limited", function="m:f", queue="t", timeout="5s", soft_timeout="1s"),
        task("free", function="m:f", queue="t"),
        task("command", queue="t", timeout="5s"),
        task("elsewhere", function="m:f", timeout="5s"),
    ]
    found = [*thread_faults(tasks, groups)]
    assert [fault.path for fault in found] == [
        ("tasks", "limited", "timeout"),
        ("tasks", "limited", "soft_timeout"),
    ]
    assert "nobody can stop a thread" in found[0].message


def test_a_plain_function_has_no_place_in_a_queue_of_coroutines() -> None:
    groups = (WorkerGroup(name="io", queues=("io",), pool="async"), WorkerGroup(name="rest"))
    tasks = [
        task("plain", function="m:plain", queue="io"),
        task("fine", function="m:coroutine", queue="io"),
        task("elsewhere", function="m:plain"),
    ]
    found = [*coroutine_faults(tasks, groups, {"m:plain"})]
    assert [fault.path for fault in found] == [("tasks", "plain", "queue")]
    assert found[0].message.startswith("m:plain is no coroutine function")
    assert not [*coroutine_faults(tasks, groups, set())]


# Tables.


def test_a_pool_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(InvalidValue, match='"gevent" is not a pool'):
        TABLES["workers"].keys["pool"].key.mark.read("gevent")


def test_what_a_worker_runs_goes_by_the_pool_of_its_group() -> None:
    prefork, many = WorkerGroup(name="a"), WorkerGroup(name="b", pool="async")
    assert (prefork.side_by_side, prefork.most_tasks) == (0, 1000)
    assert (many.side_by_side, many.most_tasks) == (1000, sys.maxsize)
    threads = WorkerGroup(name="t", pool="threads")
    assert (threads.side_by_side, threads.most_tasks) == (16, sys.maxsize)
    few = WorkerGroup(name="c", pool="async", concurrency=3, max_tasks_per_child=7)
    assert (few.side_by_side, few.most_tasks) == (3, 7)


def test_no_word_is_both_known_and_of_later() -> None:
    for table in TABLES.values():
        assert not table.later & table.keys.keys(), table.name


def test_a_task_table_may_carry_one_schedule_named_like_the_task() -> None:
    written = {"shell": "x", "cron": "@daily", "timezone": "Asia/Tokyo", "jitter": "10s"}
    table = read_task_table("a", written, source=at(1))
    assert table.schedule == ScheduleSpec(
        name="a",
        task="a",
        kind="crontab",
        expression="@daily",
        timezone="Asia/Tokyo",
        jitter_s=10.0,
    )
    assert read_task_table("a", {"shell": "x"}, source=at(1)).schedule is None


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ({"shell": "x", "every": "5m", "cron": "@daily"}, ("cron",)),
        ({"shell": "x", "jitter": "5m"}, ("jitter",)),
        ({"every": "5m", "at": "2030-01-01"}, ("at",)),
    ],
)
def test_a_task_table_has_one_way_to_be_due(
    written: dict[str, object], path: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidValue) as caught:
        read_task_table("a", written, source=at(1))
    assert [fault.path for fault in caught.value.faults] == [path]


def test_options_of_an_override_are_json_by_the_names_of_the_keys() -> None:
    table = read_task_table("a", {"timeout": "1h", "umask": "022", "every": 90}, source=at(1))
    assert table.override is not None
    assert table.override.options == {"timeout": 3600.0, "umask": "022", "every": "1m30s"}
    assert {*table.override.options} <= {*TASK_KEYS}


# Differences.


def changes(old: Plan, new: Plan) -> list[str]:
    return [str(change) for change in difference(old, new)]


def test_equal_plans_differ_in_nothing_wherever_their_parts_stand() -> None:
    assert changes(merge(file(task(line=1))), merge(file(task(line=9)))) == []


def test_what_a_reload_changes_is_told_line_by_line() -> None:
    old = merge(
        file(task(timeout="1h"), task("gone"), schedule(), Queue(name="io"), log_level="info")
    )
    new = merge(
        file(
            task(timeout="2h", retries=1, env={"K": "secret"}),
            task("fresh"),
            schedule(every="10m", args=["secret"]),
            Queue(name="io", concurrency=1),
            WorkerGroup(name="default", commands=1, processes=1),
            log_level="debug",
        )
    )
    told = changes(old, new)
    assert told[0] == 'daemon changed: log_level: "info" -> "debug"'
    assert told[1].startswith("worker group default changed: ")
    assert told[2:] == [
        "queue io changed: concurrency: no limit -> 1",
        "task backup changed: timeout: 1h -> 2h; retries: 0 -> 1; env changed",
        "task fresh added",
        "task gone removed",
        "schedule nightly changed: every = 5m -> every = 10m; args changed",
    ]
    assert difference(old, new)[-1].to_json()["what"] == "changed"


@pytest.mark.parametrize("key", ["state_dir", "socket"])
def test_what_cannot_change_while_the_daemon_runs_is_refused(key: str) -> None:
    with pytest.raises(PlanError, match=f"{key} cannot change by reload"):
        difference(merge(file()), merge(file(**{key: "/elsewhere"})))
