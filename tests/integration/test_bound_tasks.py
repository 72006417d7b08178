"""Functions that know of their job: ``self``, asking for a retry, states of their own, handlers."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl import AsyncResult, chain, send_task, signature
from jobctl.errors import Conflict, InvalidArguments, JobRevoked, NotFound, RemoteError
from tests.support.shop import LIMIT_S, Shop

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

ROOT = Path(__file__).parents[2]
IMPORTS = 'imports = ["shop"]'
HEAD = """
import os, json
from jobctl import FunctionTask, task
def note(ledger, *words):
    with open(ledger, "a") as out:
        out.write(json.dumps(words) + "\\n")
"""


def start(shop: Shop, text: str, **more: Any) -> None:
    shop.start(HEAD + textwrap.dedent(text), daemon=IMPORTS, **more)


def noted(shop: Shop) -> list[Any]:
    return [json.loads(line) for line in (shop.daemon.folder / "ledger").read_text().splitlines()]


def ledger(shop: Shop) -> str:
    return str(shop.daemon.folder / "ledger")


SHOW = """
@task(bind=True, name="show", retries=2, retry_delay=0.001, retry_jitter=False)
{word}def show(self, a, *, b=2):
    r = self.request
    if r.retries < 1:
        raise ValueError("again")
    return [self.name, r.id, r.task, list(r.args), r.kwargs, r.retries, r.number, r.queue, r.priority,
            r.delivery_info["routing_key"], r.labels, r.expires is not None, r.eta is not None,
            bool(r.hostname), r.called_directly, self.max_retries]
"""


@pytest.mark.parametrize("group", ["processes = 1", 'pool = "async"', 'pool = "threads"'])
def test_a_bound_function_knows_its_job(shop: Shop, group: str) -> None:
    start(shop, SHOW.format(word="async " if "async" in group else ""), group=group)
    job = send_task("show", [1], {"b": 3}, priority=4, expires="1h", labels={"of": "me"})
    expected = ["show", job.id, "show", [1], {"b": 3}, 1, 2, "default", 4, "default", {"of": "me"}]
    assert job.get(timeout=LIMIT_S) == [*expected, True, True, True, False, 2]
    with pytest.raises(InvalidArguments, match='the function needs the argument "a"'):
        send_task("show")


def test_the_daemon_says_nothing_of_the_job_to_functions_that_do_not_ask(shop: Shop) -> None:
    start(
        shop,
        """
        from jobctl.current import current_job
        @task(name="plain")
        def plain(): return sorted(current_job()[5])
        @task(bind=True, name="bound")
        def bound(self): return sorted(current_job()[5])
        """,
    )
    assert shop.value("plain") == ["args", "kwargs"]
    assert shop.value("bound") == ["args", "kwargs", "request"]


def test_a_retry_keeps_the_job_and_its_number_of_retries(shop: Shop) -> None:
    start(
        shop,
        """
        @task(bind=True, name="ask", retry_delay=0.001)
        def ask(self, ledger, most):
            note(ledger, self.request.id, self.request.retries)
            try:
                raise KeyError("key")
            except KeyError as error:
                self.retry(exc=error, countdown=0, max_retries=most)
        @task(bind=True, name="ask_and_go_on")
        def ask_and_go_on(self):
            if self.request.retries < 2:
                self.retry(countdown=0, throw=False)
            return self.request.retries
        @task(bind=True, name="used_up", retry_delay=0, autoretry_for=(KeyError,), retries=9)
        def used_up(self):
            self.retry(max_retries=1)
        @task(bind=True, name="other")
        def other(self):
            self.retry(args=[1], queue="slow")
        """,
    )
    job = send_task("ask", [ledger(shop), 2])
    with pytest.raises(RemoteError, match="KeyError: 'key'"):
        job.get(timeout=LIMIT_S)
    assert noted(shop) == [[job.id, 0], [job.id, 1], [job.id, 2]]
    assert shop.value("ask_and_go_on") == 2
    used_up = send_task("used_up")
    with pytest.raises(RemoteError, match=r"MaxRetriesExceeded: .*used up its 1 retries"):
        used_up.get(timeout=LIMIT_S)
    assert len(shop.ended(used_up)["attempts"]) == 2
    with pytest.raises(RemoteError, match=r"UsageError: .*cannot change args, queue"):
        send_task("other").get(timeout=LIMIT_S)


HANDLERS = """
class Base(FunctionTask):
    retry_delay = 0.001
    def before_start(self, task_id, args, kwargs):
        note(args[0], "before_start", self.name, task_id, self.request.retries)
    def on_success(self, retval, task_id, args, kwargs):
        note(args[0], "on_success", retval)
    def on_retry(self, exc, task_id, args, kwargs, einfo):
        note(args[0], "on_retry", str(exc), einfo.type.__name__, "in work" in str(einfo))
    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note(args[0], "on_failure", str(exc))
    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        note(args[0], "after_return", status, str(retval), einfo is None)
@task(base=Base, name="work", retries=1)
{word}def work(ledger, end):
    if end == "raise":
        raise ValueError("bad")
    return end
"""


@pytest.mark.parametrize("word", ["", "async "])
def test_handlers_are_called_in_the_worker_in_their_order(shop: Shop, word: str) -> None:
    start(shop, HANDLERS.format(word=word))
    good = send_task("work", [ledger(shop), "good"])
    assert good.get(timeout=LIMIT_S) == "good"
    assert noted(shop) == [
        ["before_start", "work", good.id, 0],
        ["on_success", "good"],
        ["after_return", "SUCCESS", "good", True],
    ]
    Path(ledger(shop)).unlink()
    bad = send_task("work", [ledger(shop), "raise"])
    with pytest.raises(RemoteError, match="ValueError: bad"):
        bad.get(timeout=LIMIT_S)
    assert noted(shop) == [
        ["before_start", "work", bad.id, 0],
        ["on_retry", "bad", "ValueError", True],
        ["before_start", "work", bad.id, 1],
        ["on_failure", "bad"],
        ["after_return", "FAILURE", "bad", False],
    ]
    trace = bad.traceback
    assert trace is not None
    assert trace.count("jobctl/api") == bool(word)
    assert ", in work\n" in trace


def test_a_handler_that_raises_is_told_and_changes_nothing(shop: Shop) -> None:
    start(
        shop,
        """
        def burst(self, *args): raise RuntimeError("in the handler")
        @task(name="work", on_success=burst, before_start=burst)
        def work(): return 1
        @task(name="expected", throws=(KeyError,))
        def expected(): raise KeyError("gone")
        """,
    )
    job = send_task("work")
    assert job.get(timeout=LIMIT_S) == 1
    output = shop.daemon.output(job.id)
    assert output.count("RuntimeError: in the handler") == 2
    assert f'task "work": on_success of job {job.id} raised' in output
    expected = send_task("expected")
    with pytest.raises(RemoteError):
        expected.get(timeout=LIMIT_S)
    assert expected.traceback == "KeyError: 'gone'\n"


def test_a_state_of_its_own_is_seen_while_the_job_runs(shop: Shop) -> None:
    start(
        shop,
        """
        import time
        @task(bind=True, name="work")
        def work(self, go):
            self.update_state(state="LOADING", meta={"current": 3, "total": 4, "of": "x" * 3000})
            while not os.path.exists(go + "1"):
                time.sleep(0.005)
            self.update_state(state="SAVING")
            while not os.path.exists(go + "2"):
                time.sleep(0.005)
            try:
                self.update_state(state="SUCCESS")
            except Exception as error:
                return str(error)
        """,
    )
    daemon: Daemon = shop.daemon
    job: AsyncResult[Any] = send_task("work", [ledger(shop)])
    daemon.until("its state", lambda: job.state == "LOADING")
    assert job.info == {"current": 3, "total": 4, "of": "x" * 3000}
    assert not job.ready()
    assert job.result is None
    progress = daemon.status(job.id)["progress"]
    at = progress.pop("at")
    assert type(at) is int
    assert progress == {"done": 3, "total": 4, "percent": 75.0, "note": "LOADING"}
    Path(ledger(shop) + "1").touch()
    daemon.until("the next state", lambda: job.status == "SAVING")
    assert job.info == {}
    assert daemon.status(job.id)["progress"]["done"] is None
    Path(ledger(shop) + "2").touch()
    assert "SUCCESS is a state that a job comes to" in job.get(timeout=LIMIT_S)
    assert job.info == job.result


def test_a_task_of_a_class_and_of_a_package_is_found(shop: Shop) -> None:
    folder = shop.code / "parts"
    (folder / "one").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "one" / "__init__.py").touch()
    (folder / "one" / "tasks.py").write_text("from jobctl import task\n@task\ndef a(): return 1\n")
    (folder / "two.py").touch()
    start(
        shop,
        """
        from jobctl import autodiscover
        from jobctl.api import register_task
        found = autodiscover(["parts.one", "parts.two"])
        class Count(FunctionTask):
            name = "count"
            def __init__(self): self.made = 0
            def run(self, by: int):
                self.made += by
                return [self.made, self.request.id is not None, found]
        register_task(Count)
        """,
        group="processes = 1",
    )
    assert shop.value("parts.one.tasks.a") == 1
    assert shop.value("count", 2) == [2, True, ["parts.one.tasks"]]
    assert shop.value("count", 3) == [5, True, ["parts.one.tasks"]]
    with pytest.raises(InvalidArguments, match='no argument "x"'):
        send_task("count", kwargs={"x": 1})


def test_typing_false_leaves_the_arguments_to_the_call(shop: Shop) -> None:
    start(shop, '@task(name="add", typing=False)\ndef add(x, y): return x + y')
    with pytest.raises(RemoteError, match=r"TypeError: .*missing 1 required"):
        send_task("add", [1]).get(timeout=LIMIT_S)


def test_a_result_that_is_forgotten_is_gone_and_its_state_is_kept(shop: Shop) -> None:
    start(
        shop,
        """
        import time
        @task(name="work")
        def work(go):
            while not os.path.exists(go):
                time.sleep(0.005)
            return [1, 2]
        """,
    )
    job = send_task("work", [ledger(shop)])
    with pytest.raises(Conflict, match="has no result yet"):
        job.forget()
    Path(ledger(shop)).touch()
    assert job.get(timeout=LIMIT_S) == [1, 2]
    job.forget()
    job.forget()
    assert (job.result, job.state, job.get()) == (None, "SUCCESS", None)
    with pytest.raises(NotFound):
        AsyncResult[Any](123_456).forget()


def test_what_the_page_shows_runs(shop: Shop) -> None:
    page = (ROOT / "docs/how-to/bound-tasks.md").read_text()
    orders, base, jobs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    package = shop.code / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    for name, text in (("orders", orders), ("base", base), ("jobs", jobs)):
        (package / f"{name}.py").write_text(text)
    # A library that cannot reach anybody at first.
    (shop.code / "httpx.py").write_text(
        "class TransportError(Exception): pass\n"
        "calls = []\n"
        "def post(url, json):\n"
        "    calls.append(json)\n"
        "    if len(calls) == 2: raise TransportError(url)\n"
    )
    shop.configure("", daemon='imports = ["shop.orders", "shop.jobs"]', group="processes = 1")
    shop.daemon.start()
    job = send_task("shop.orders.place", [17], {"lines": ["a", "b"]})
    assert job.get(timeout=LIMIT_S) == f"17: 2 lines, job {job.id}"
    assert len(shop.ended(job)["attempts"]) == 2
    assert shop.value("shop.base.count", 7) == 5
    failed = send_task("shop.base.count", [-1], retries=0)
    with pytest.raises(RemoteError, match="below zero"):
        failed.get(timeout=LIMIT_S)
    assert "of shop.base.count has failed: -1 is below zero" in shop.daemon.output(failed.id)


REFUSING = """
from jobctl import Ignore, Reject

class Base(FunctionTask):
    def on_failure(self, *about): note(about[1 + 1][0], "on_failure")
    def after_return(self, *about): note(about[2 + 1][0], "after_return")

@task(bind=True, base=Base, name="refuse", retries=2, on_success="next", on_retry="next")
{word}def refuse(self, ledger, how):
    note(ledger, how, self.request.retries)
    if how == "ignore":
        raise Ignore("nothing to do")
    if how == "reject":
        raise Reject("will not")
    if self.request.retries < 5:
        raise Reject(requeue=True)
    return "done"

@task(name="next")
{word}def next_one(**facts): ...
"""


@pytest.mark.slow
@pytest.mark.parametrize("group", ["processes = 1", 'pool = "async"'])
def test_a_function_ignores_or_rejects_its_job(shop: Shop, group: str) -> None:
    start(shop, REFUSING.format(word="async " if "async" in group else ""), group=group)
    path = ledger(shop)
    ignored = shop.ended(send_task("refuse", [path, "ignore"]))
    assert (ignored["state"], ignored["reason"]) == ("REVOKED", "ignored by its function")
    (attempt,) = ignored["attempts"]
    assert (attempt["outcome"], attempt["error"]["message"]) == ("cancelled", "nothing to do")
    after = chain(signature("refuse", [path, "ignore"]), signature("next", immutable=True)).delay()
    with pytest.raises(JobRevoked):
        after.get(timeout=LIMIT_S)
    rejected = shop.ended(send_task("refuse", [path, "reject"]))
    assert (rejected["state"], len(rejected["attempts"])) == ("FAILURE", 1)
    assert (rejected["error"]["type"], rejected["error"]["message"]) == (
        "jobctl.Reject",
        "will not",
    )
    assert noted(shop) == [["ignore", 0], ["ignore", 0], ["reject", 0]]
    # More often than its retries say: only the function knows when it is enough.
    assert send_task("refuse", [path, "requeue"]).get(timeout=LIMIT_S) == "done"
    assert noted(shop)[3:8] == [["requeue", number] for number in range(5)]
