"""Declaring tasks, reading options of Celery's and of ours, and what becomes of a call."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import jobctl.task
from jobctl import AsyncResult, task
from jobctl.api import FunctionTask, tasks
from jobctl.api.calls import _parts
from jobctl.api.options import make_job
from jobctl.api.results import _value
from jobctl.api.session import Outage
from jobctl.api.signatures import Signature
from jobctl.errors import (
    DaemonNotRunning,
    InvalidArguments,
    JobRevoked,
    ProtocolError,
    RemoteError,
    UsageError,
)
from jobctl.plan import CodeTask, FilePlan, merge
from jobctl.plan.code import CodeReport
from jobctl.protocol.requests import NewJob, read
from jobctl.task import Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NOW = 1_800_000_000_000_000


@pytest.fixture(autouse=True)
def no_other_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test declares into a registry of its own."""
    monkeypatch.setattr(tasks, "_tasks", {})


def send(to: str, subject: str = "none") -> str:
    """Send a message.

    With more to say.
    """
    return f"{to}: {subject}"


def declare(**given: Any) -> FunctionTask[..., Any]:
    """Declare it with options that no type checker has seen."""
    anything: Any = task
    declared: FunctionTask[..., Any] = anything(**given)(send)
    return declared


def options_of(**given: Any) -> dict[str, Any]:
    """What a declaration with these options tells the daemon, without the description."""
    declared = declare(**given)
    return {name: value for name, value in declared.options.items() if name != "description"}


def refused(**given: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        declare(**given)
    return caught.value


# -- the front door -------------------------------------------------------------------------------


def test_the_decorator_is_no_module_although_a_package_has_its_name() -> None:
    assert callable(task)
    assert callable(jobctl.task)
    assert jobctl.task is task
    assert Task(name="a", shell="true").name == "a"


def test_what_the_front_door_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tusk'"):
        _ = jobctl.tusk  # type: ignore[attr-defined]


# -- declaring ------------------------------------------------------------------------------------


def test_a_bare_declaration_is_named_for_module_and_function() -> None:
    declared = task(send)
    assert declared.name == f"{__name__}.send"
    assert declared.place == f"{__name__}:send"
    assert declared.__doc__ == send.__doc__
    assert declared.options == {"description": "Send a message."}
    assert declared.source.file == __file__
    assert declared.source.line == send.__code__.co_firstlineno


def test_calling_a_task_is_a_plain_call() -> None:
    assert task(send)("a", subject="b") == "a: b"


def test_registered_tasks_are_what_was_declared() -> None:
    one, other = task(send), task(name="other")(send)
    assert tasks.registered_tasks() == (one, other)


def test_what_a_declaration_says_is_what_the_plan_takes() -> None:
    declared = task(name="mail.send", queue="mail", retries=3, timeout=timedelta(minutes=2))(send)
    code = CodeTask.from_json({**declared.declaration(), "parameters": None})
    plan = merge(FilePlan(), [CodeReport(group="default", tasks=(code,))])
    planned = plan.task("mail.send")
    assert (planned.queue, planned.retries, planned.timeout_s) == ("mail", 3, 120.0)
    assert planned.function == f"{__name__}:send"
    assert planned.description == "Send a message."


def test_a_schedule_may_stand_at_the_function() -> None:
    declared = task(name="tick", every="30s", args=["a"])(send)
    code = CodeTask.from_json({**declared.declaration(), "parameters": None})
    plan = merge(FilePlan(), [CodeReport(group="default", tasks=(code,))])
    assert plan.schedules["tick"].kind == "interval"


def test_the_same_function_loaded_again_takes_the_place_of_the_first() -> None:
    task(send)
    second = task(send)
    assert tasks.registered_tasks() == (second,)


def test_a_name_that_another_function_has_is_refused_with_both_places() -> None:
    task(name="one")(send)

    def other() -> None: ...

    with pytest.raises(UsageError, match=r"declared twice, at .*test_api.py:\d+ and at .*:\d+"):
        task(name="one")(other)


def test_a_function_inside_another_one_can_be_a_task() -> None:
    @task
    def inner() -> None: ...

    function = "test_a_function_inside_another_one_can_be_a_task.inner"
    assert inner.name == f"{__name__}.{function}"
    assert CodeTask.from_json({**inner.declaration(), "parameters": None}).name == inner.name


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (lambda: None, "lambda"),
        (type("Sender", (), {}), "no function"),
        (17, "no function"),
        ("mail.send", "by name"),
    ],
)
def test_what_is_no_function_is_refused(what: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        task(what)


def test_functions_whose_value_cannot_be_kept_are_refused() -> None:
    async def asynchronous() -> AsyncIterator[int]:
        yield 1

    def generator() -> Iterator[int]:
        yield 1

    for function in (asynchronous, generator):
        with pytest.raises(UsageError, match="generator"):
            task(function)


def test_a_task_is_declared_once() -> None:
    with pytest.raises(UsageError, match="is a task already"):
        task(task(send))


# -- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"max_retries": 5}, {"retries": 5}),
        ({"time_limit": 30}, {"timeout": 30}),
        ({"acks_late": True}, {"on_lost": "retry"}),
        ({"acks_late": True, "reject_on_worker_lost": True}, {"on_lost": "retry"}),
        ({"acks_late": True, "reject_on_worker_lost": False}, {"on_lost": "fail"}),
        ({"acks_late": False, "reject_on_worker_lost": True}, {"on_lost": "fail"}),
        (
            {"default_retry_delay": 60, "max_retries": 2},
            {"retries": 2, "retry_delay": 60, "retry_backoff": False, "retry_jitter": False},
        ),
        (
            {"autoretry_for": (Exception,)},
            {
                "autoretry_for": ["Exception"],
                "retries": 3,
                "retry_delay": 180,
                "retry_backoff": False,
                "retry_jitter": False,
            },
        ),
        (
            {"autoretry_for": (Exception,), "retry_backoff": True, "max_retries": 5},
            {"autoretry_for": ["Exception"], "retries": 5, "retry_backoff": True},
        ),
        (
            {"dont_autoretry_for": [KeyError, UsageError], "retries": 1},
            {"dont_autoretry_for": ["KeyError", "jobctl.errors.UsageError"], "retries": 1},
        ),
        ({"expires": timedelta(hours=1)}, {"expires": 3600.0}),
        (
            {"bind": False, "ignore_result": False, "soft_time_limit": None, "throws": ()},
            {"ignore_result": False},
        ),
        ({"soft_time_limit": 20, "time_limit": 30}, {"soft_timeout": 20, "timeout": 30}),
        ({"timeout": None, "expires": None, "name": None}, {}),
        ({"aliases": ("old.send",)}, {"aliases": ["old.send"]}),
    ],
)
def test_options_are_told_as_keys_of_a_task(given: dict[str, Any], read: dict[str, Any]) -> None:
    assert options_of(**given) == read


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"bind": 1}, "bind is True or False"),
        ({"bind": True, "before_start": "other"}, "before_start is a function"),
        ({"base": int}, "base is a class derived from FunctionTask"),
        ({"base": type("Base", (FunctionTask,), {"retries": -1})}, "out of range"),
        ({"trail": False}, "trail is not kept"),
        ({"soft_time_limit": 20, "soft_timeout": 20}, "one option"),
        ({"soft_time_limit": 20, "time_limit": 10}, "it would never be told"),
        ({"rate_limit": 10}, "rate_limit: 10 is not a rate"),
        ({"ignore_result": True, "max_result": 5}, "ignore_result stores nothing"),
        ({"throws": ("KeyError",)}, "throws is a list of exceptions"),
        ({"on_failure": 7}, "on_failure is a task or the name of one"),
        ({"serializer": "pickle"}, "serializer is not kept"),
        ({"autoretry_for": KeyError}, "autoretry_for is a list of exceptions"),
        ({"autoretry_for": (7,)}, "7 is not the name of a class"),
        ({"dont_autoretry_for": (KeyError,)}, "there are no retries"),
        ({"retry_backoff": 5}, "True or False"),
        ({"max_retries": None}, "without an end"),
        ({"max_retries": 1, "retries": 1}, "one option"),
        ({"time_limit": 1, "timeout": 1}, "one option"),
        ({"default_retry_delay": 1, "retry_backoff": True}, "together with retry_backoff"),
        ({"acks_late": True, "on_lost": "fail"}, "says it already"),
        ({"retires": 3}, "no option retires"),
        ({"cwd": "/"}, "no option cwd"),
        ({"function": "a:b"}, "no option function"),
        ({"retries": -1}, "out of range"),
        ({"timeout": "soon"}, "not a span"),
        ({"every": "30s", "cron": "* * * * *"}, "both set"),
        ({"on_lost": "again"}, "not one of"),
        ({"kwargs": {"a": object()}}, "not a JSON value"),
        ({"name": "not a name"}, "not a name"),
    ],
)
def test_what_cannot_be_kept_is_refused_at_the_declaration(
    given: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        declare(**given)
    assert caught.value.hint
    assert tasks.registered_tasks() == ()


def test_a_bound_function_without_a_place_for_the_task_is_refused() -> None:
    with pytest.raises(UsageError, match="has no first argument for the task"):

        @task(bind=True)  # type: ignore[arg-type]
        def run() -> None: ...


def test_a_bound_task_that_is_called_directly_has_no_job() -> None:
    @task(bind=True, name="direct")
    def direct(self: FunctionTask[..., Any], fails: bool = False) -> Any:
        if fails:
            self.retry(exc=KeyError("gone"))
        self.update_state(state="WORKING")
        return self.request

    request = direct()
    assert (request.id, request.retries, request.called_directly) == (None, 0, True)
    with pytest.raises(KeyError, match="gone"):
        direct(True)
    assert list(direct.__signature__.parameters) == ["fails"]


def test_options_of_a_class_are_those_of_its_tasks_unless_they_say_otherwise() -> None:
    class Base(FunctionTask[..., Any]):
        retries = 5
        queue = "mail"

        def on_success(self, retval: Any, task_id: Any, args: Any, kwargs: Any) -> None: ...

    assert options_of(base=Base, queue="slow") == {"retries": 5, "queue": "slow"}


def test_every_fault_is_told_at_once_with_the_task_and_its_place() -> None:
    error = refused(trail=False, serializer="pickle", retires=1, name="mail.send")
    for word in ("trail", "serializer", "retires", 'task "mail.send"', "test_api.py"):
        assert word in error.message
    assert "Did you mean retries?" in error.hint


def test_an_option_that_compares_oddly_does_not_count_as_harmless() -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

    assert "trail is not kept" in refused(trail=Odd()).message
    assert "trail is not kept" in refused(trail=1).message


# -- calls ----------------------------------------------------------------------------------------


def job_of(*args: Any, **options: Any) -> dict[str, Any]:
    job = make_job("mail.send", args, {}, options, now=NOW)
    # Closed schemas: what the daemon would refuse fails here.
    assert read(NewJob, job).task == "mail.send"
    return job


def test_a_call_carries_its_arguments_as_values() -> None:
    job = make_job("mail.send", ("a", [1, {"b": None}], (2, 3)), {"x": 1.5}, {}, now=NOW)
    assert job == {
        "task": "mail.send",
        "typed": True,
        "args": ["a", [1, {"b": None}], [2, 3]],
        "kwargs": {"x": 1.5},
    }


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"countdown": 5}, {"delay_s": 5.0}),
        ({"countdown": "1m30s"}, {"delay_s": 90.0}),
        ({"countdown": timedelta(milliseconds=250)}, {"delay_s": 0.25}),
        ({"eta": datetime(2027, 1, 15, 8, 0, 0, 1, UTC)}, {"eta": 1_800_000_000_000_001}),
        ({"expires": 60}, {"expires_at": NOW + 60_000_000}),
        ({"deadline": timedelta(hours=2)}, {"deadline_s": 7200.0}),
        ({"soft_time_limit": 50, "time_limit": 60}, {"soft_timeout_s": 50.0, "timeout_s": 60.0}),
        ({"expires": datetime(2027, 1, 15, 8, 1, tzinfo=UTC)}, {"expires_at": NOW + 60_000_000}),
        ({"queue": "slow", "priority": -5}, {"queue": "slow", "priority": -5}),
        ({"retries": 2, "time_limit": "1m"}, {"retries": 2, "timeout_s": 60.0}),
        ({"task_id": "order-17"}, {"key": "order-17"}),
        ({"labels": {"order": "17"}}, {"labels": {"order": "17"}}),
        ({"countdown": None, "eta": None, "link": None, "retry": True}, {}),
    ],
)  # fmt: skip
def test_options_of_a_call_are_fields_of_the_job(
    given: dict[str, Any], read: dict[str, Any]
) -> None:
    assert job_of(**given) == {"task": "mail.send", "typed": True, **read}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"eta": datetime(2027, 1, 1)}, "no time zone"),  # noqa: DTZ001 -- refused for that
        ({"eta": 5}, "is a datetime"),
        ({"eta": datetime(2027, 1, 1, tzinfo=UTC), "countdown": 1}, "both given"),
        ({"countdown": -1}, "span cannot be -1"),
        ({"countdown": float("nan")}, "span cannot be nan"),
        ({"expires": "soon"}, "not a span"),
        ({"priority": "high"}, "not a whole number"),
        ({"priority": 2**70}, "priority: 1180591620717411303424 is out of range"),
        pytest.param({"priority": 2**70000}, "priority: a number of too many", id="2**70000"),
        ({"retries": 2**63}, "retries: 9223372036854775808 is out of range"),
        ({"countdown": 2**63}, "longer than a hundred years"),
        ({"timeout": timedelta.max}, "longer than a hundred years"),
        ({"queue": "no queue"}, "not a name"),
        ({"timeout": 1, "time_limit": 1}, "one option"),
        ({"soft_timeout": 1, "soft_time_limit": 1}, "one option"),
        ({"link": send}, "make a workflow"),
        ({"headers": "acme"}, "headers are values by name"),
        ({"headers": {"tenant": object()}}, "header tenant"),
        ({"shadow": "name"}, "shadow is not kept"),
        ({"retry": False}, "retry is not kept"),
        ({"contdown": 1}, "no option contdown"),
        ({"task_id": 17}, "task_id is text"),
        ({"labels": {"order": 17}}, "text by name"),
    ],
)
def test_a_call_that_cannot_be_kept_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        job_of(**given)
    assert 'task "mail.send"' in caught.value.message


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((object(),), {}, "argument 1: .*not a JSON value"),
        ((1, {"a": {2}}), {}, r"argument 2\['a'\]: .*not a JSON value"),
        ((), {"when": datetime(2027, 1, 1, tzinfo=UTC)}, "argument when: .*not a JSON value"),
        ((float("nan"),), {}, "argument 1: nan is not a number"),
        (({1: "a"},), {}, "argument 1: 1 is not text"),
        ((b"bytes",), {}, "argument 1"),
        pytest.param(([2**70000],), {}, "more than four thousand digits", id="2**70000"),
    ],
)
def test_arguments_that_are_not_json_are_named(args: Any, kwargs: Any, says: str) -> None:
    with pytest.raises(InvalidArguments, match=says):
        make_job("mail.send", args, kwargs, {}, now=NOW)


def test_a_signature_takes_options_one_after_the_other() -> None:
    call = task(name="mail.send")(send).s("a").set(queue="slow").set(priority=3)
    assert call == Signature(
        task="mail.send", args=("a",), kwargs={}, options={"queue": "slow", "priority": 3}
    )
    assert "'a'" not in repr(call)  # arguments may hold secrets


def test_many_jobs_go_in_frames_that_a_daemon_takes() -> None:
    many = [{"task": "a"}] * 2500
    assert [len(part) for part in _parts(many)] == [1000, 1000, 500]
    large = [{"task": "a", "args": ["x" * 3_000_000]}] * 3
    assert [len(part) for part in _parts(large)] == [1, 1, 1]
    assert list(_parts([])) == []


# -- results --------------------------------------------------------------------------------------


def end(state: str, **more: Any) -> dict[str, Any]:
    return {"id": 7, "state": state, "reason": None, "result": None, "error": None, **more}


def test_success_gives_the_value() -> None:
    assert _value(end("SUCCESS", result=[1])) == [1]


def test_an_exception_comes_as_text_with_its_traceback() -> None:
    error = {"type": "shop.Refused", "message": "no stock", "traceback": "Traceback …\n"}
    value = _value(end("FAILURE", error=error))
    assert isinstance(value, RemoteError)
    assert str(value) == "job 7 failed: shop.Refused: no stock"
    assert (value.job, value.type, value.text) == (7, "shop.Refused", "no stock")
    assert value.__notes__ == ["In the worker:\nTraceback …"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"exit_code": 3}, "job 7 failed: exit code 3"),
        ({"signal": 9, "exit_code": None}, "job 7 failed: signal 9"),
        ({"reason": "timed out"}, "job 7 failed: timed out"),
    ],
)
def test_a_failure_without_an_exception_says_what_it_was(more: dict[str, Any], says: str) -> None:
    assert str(_value(end("FAILURE", **more))) == says


def test_a_revoked_job_has_no_result() -> None:
    value = _value(end("REVOKED", reason="expired"))
    assert isinstance(value, JobRevoked)
    assert str(value) == "job 7 has no result: expired"


def test_errors_travel_between_processes() -> None:
    error = {"type": "ValueError", "message": "bad", "traceback": "Traceback"}
    value = _value(end("FAILURE", error=error))
    again = pickle.loads(pickle.dumps(value))
    assert (str(again), again.traceback, again.job) == (str(value), "Traceback", 7)


def test_a_result_is_known_by_its_id() -> None:
    assert AsyncResult[int]("17") == AsyncResult[int](17)
    assert len({AsyncResult[int](17), AsyncResult[int](17)}) == 1
    assert repr(AsyncResult[int](17)) == "<AsyncResult 17>"


@pytest.mark.parametrize(
    "given",
    ["x17", "1_7", " 17", "+17", "017", "\uff11\uff17", "", 0, -17, 2**63, 17.0, True, None],
)
def test_what_was_never_printed_as_an_id_is_none(given: Any) -> None:
    with pytest.raises(UsageError, match="not the id of a job"):
        AsyncResult(given)


# -- patience -------------------------------------------------------------------------------------


class Clock:
    """Moved by the pauses alone."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.pauses: list[float] = []

    def now(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return self.seconds

    def pause(self, span_s: float) -> None:
        self.seconds += span_s
        self.pauses.append(span_s)


def test_an_outage_is_endured_with_growing_pauses_until_patience_is_over() -> None:
    clock = Clock()
    outage = Outage(clock, 10.0, clock.pause)
    error = DaemonNotRunning("gone")
    outage.endure(error)
    assert clock.pauses == []  # the first repetition comes at once

    def endure_to_the_end() -> None:
        while True:
            outage.endure(error)

    with pytest.raises(DaemonNotRunning) as caught:
        endure_to_the_end()

    assert caught.value is error
    assert clock.pauses == sorted(clock.pauses)
    assert max(clock.pauses) <= 0.5
    assert 9.0 <= clock.seconds < 10.0


def test_without_patience_the_first_error_is_raised() -> None:
    clock = Clock()
    with pytest.raises(DaemonNotRunning):
        Outage(clock, 0.0, clock.pause).endure(DaemonNotRunning("gone"))
    assert clock.pauses == []


def test_what_waiting_cannot_help_is_raised_at_once() -> None:
    clock = Clock()
    with pytest.raises(ProtocolError):
        Outage(clock, 10.0, clock.pause).endure(ProtocolError("no daemon of jobctl"))
    assert clock.pauses == []
