"""Jobs that are made in place: what they come to, their retries, and every call while a test says so."""

from __future__ import annotations

import asyncio
import pickle
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from jobctl import FunctionTask, Ignore, Reject, send_task, submit_many, task
from jobctl.api import tasks
from jobctl.api.eager import eager
from jobctl.api.inplace import EagerResult
from jobctl.api.rebuilt import know, remote_error
from jobctl.errors import InvalidArguments, JobRevoked, NotFound, RemoteError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_other_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test declares into a registry of its own."""
    monkeypatch.setattr(tasks, "_tasks", {})


def test_a_job_in_place_gives_what_json_makes_of_its_result() -> None:
    @task(name="pair")
    def pair(left: int, right: tuple[int, ...]) -> Any:
        return (left, right, {1: "one"})

    result = pair.apply([1], {"right": (2, 3)})
    assert result.get() == [1, [2, 3], {"1": "one"}]
    assert (result.state, result.ready(), result.retries) == ("SUCCESS", True, 0)
    assert result.date_done is not None
    result.forget()
    assert result.get() is None
    with pytest.raises(InvalidArguments, match='task "pair": missing a required argument'):
        pair.apply([1])
    with pytest.raises(InvalidArguments, match="argument 1"):
        pair.apply([object()])


def test_retries_in_place_do_not_wait_and_are_counted() -> None:
    seen: list[int] = []

    @task(name="again", bind=True, retries=2, retry_delay="1h")
    def again(self: FunctionTask[..., Any], fails: int) -> int:
        seen.append(self.request.retries)
        if self.request.retries < fails:
            raise self.retry(exc=LookupError("not yet"))
        return self.request.number

    assert again.apply([1]).get() == 2
    result = again.apply([5])
    assert seen == [0, 1, 0, 1, 2]
    with pytest.raises(LookupError, match="not yet") as caught:
        result.get()
    assert isinstance(caught.value, RemoteError)
    assert isinstance(caught.value.__cause__, LookupError)
    assert result.failed()
    assert again.apply_async.__doc__


def test_all_calls_are_made_in_place_while_it_lasts() -> None:
    @task(name="double")
    def double(number: int) -> int:
        return 2 * number

    @task(name="outer")
    async def outer(number: int) -> int:
        return (await double.adelay(number)).get() + 1

    with eager():
        assert isinstance(double.delay(1), EagerResult)
        assert double.apply_async([2], countdown=3600, queue="slow").get() == 4
        assert send_task("outer", [3]).get() == 7
        assert [result.get() for result in submit_many([double.s(1), double.s(2)])] == [2, 4]

        async def ask() -> Any:
            return await (await outer.adelay(4)).aget()

        assert asyncio.run(ask()) == 9
        with pytest.raises(NotFound, match="backup"):
            send_task("backup")


class Refused(Exception):
    """Wants what nobody has."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one, two)
        raise AssertionError("code of the type was called")


@pytest.mark.parametrize("kind", [ValueError, OSError, TimeoutError, UnicodeDecodeError, KeyError])
def test_an_exception_of_python_is_caught_as_what_it_was(kind: type[Exception]) -> None:
    error = remote_error("job 3 failed", type=kind.__name__, text="it", traceback="T", job=3)
    assert isinstance(error, kind)
    assert isinstance(error, RemoteError)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.job, again.text, again.traceback) == ("job 3 failed", 3, "it", "T")


def test_only_types_that_this_process_names_are_rebuilt_and_none_of_their_code_runs() -> None:
    name = f"{__name__}.Refused"
    assert type(remote_error("no", type=name)) is RemoteError
    know([Refused])
    assert isinstance(remote_error("no", type=name), Refused)
    for other in ("SystemExit", "ExceptionGroup", "os.system", "", "jobctl.errors.RemoteError"):
        assert type(remote_error("no", type=other)) is RemoteError


def test_what_the_page_shows_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop").mkdir()
    for page, name in (("test-tasks", "test_mail.py"), ("python-functions", "shop/mail.py")):
        text = (ROOT / f"docs/how-to/{page}.md").read_text()
        block = next(b for b in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if name in b)
        (tmp_path / name).write_text(block)
    monkeypatch.syspath_prepend(tmp_path)
    namespace = runpy.run_path(str(tmp_path / "test_mail.py"))
    tests = [found for found in namespace if found.startswith("test_")]
    assert len(tests) == 2
    for found in tests:
        namespace[found]()


def test_a_job_that_is_ignored_or_rejected_in_place_tells_no_handler_and_is_not_tried_again() -> (
    None
):
    told: list[str] = []

    @task(
        name="refuse",
        retries=3,
        retry_delay=0,
        on_failure=lambda *_: told.append("failure"),
        after_return=lambda *_: told.append("after"),
    )
    def refuse(how: str) -> None:
        told.append(how)
        raise {"ignore": Ignore(), "reject": Reject("no"), "requeue": Reject("no", True)}[how]

    ignored = refuse.apply(["ignore"])
    assert (ignored.state, ignored.successful(), ignored.failed()) == ("REVOKED", False, False)
    with pytest.raises(JobRevoked, match="ignored by its function"):
        ignored.get()
    for how in ("reject", "requeue"):
        with pytest.raises(RemoteError, match=r"jobctl\.Reject: no"):
            refuse.apply([how]).get()
    assert told == ["ignore", "reject", "requeue"]
