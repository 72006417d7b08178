"""Python functions through the real daemon: of the file and of the code, how they end, what they say."""

from __future__ import annotations

import itertools
import re
import sys
import textwrap
import venv
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobctl import AsyncResult, send_task, submit_many
from jobctl.api import Signature
from jobctl.errors import InvalidArguments, JobctlError, JobRevoked, NotFound, RemoteError
from jobctl.protocol import requests
from tests.support.shop import LIMIT_S, Shop

if TYPE_CHECKING:
    from tests.support.daemon import Daemon

ROOT = Path(__file__).parents[2]


IMPORTS = 'imports = ["shop"]'


# -- of the file and of the code ------------------------------------------------------------------


def test_a_function_of_the_file_returns_its_value(shop: Shop) -> None:
    shop.start("def add(x, y=2): return x + y", '[tasks.add]\nfunction = "shop:add"')
    assert shop.value("add", 1) == 3
    assert shop.value("add", 1.5, y=1) == 2.5


def test_a_decorated_function_is_a_task_through_imports(shop: Shop) -> None:
    shop.start(
        """
        from jobctl import task
        @task
        def add(x: int, y: int = 2) -> int:
            "Give the sum."
            return x + y
        @task(name="mail.send")
        def send(to):
            return {"to": to}
        """,
        daemon=IMPORTS,
    )
    assert shop.value("shop.add", 1) == 3
    assert shop.value("mail.send", "a@b.c") == {"to": "a@b.c"}
    registered = shop.daemon.call(requests.Inspect(what="registered"))["tasks"]
    assert {task["name"] for task in registered} == {"shop.add", "mail.send"}


def test_a_decorated_function_may_be_named_by_the_file_too(shop: Shop) -> None:
    shop.start(
        """
        from jobctl import task
        @task
        def add(x: int, y: int = 2) -> int: return x + y
        """,
        '[tasks.plus]\nfunction = "shop:add"\nkwargs = { y = 40 }',
        daemon=IMPORTS,
    )
    assert shop.value("plus", 2) == 42
    with pytest.raises(InvalidArguments, match=r'task "plus": .*no argument "z"'):
        send_task("plus", kwargs={"z": 1})


def test_typed_text_becomes_what_the_annotations_say(shop: Shop) -> None:
    shop.start(
        """
        from __future__ import annotations
        def show(a: str, b: int, c: float | None, d: bool, e: list[int], f: dict, g=None):
            return [a, b, c, d, e, f, g]
        """,
        '[tasks.show]\nfunction = "shop:show"',
    )
    args = ["17", "17", "1.5", "yes", "[1, 2]", '{"k": null}', "[3]"]
    job = shop.daemon.submit(task="show", args=args)
    assert shop.daemon.ended(job)["result"] == ["17", 17, 1.5, True, [1, 2], {"k": None}, [3]]
    with pytest.raises(InvalidArguments, match="argument 2"):
        shop.daemon.submit(task="show", args=["a", "many"])


def test_arguments_that_the_function_cannot_take_are_refused_at_the_call(shop: Shop) -> None:
    shop.start("def add(x, y): return x", '[tasks.add]\nfunction = "shop:add"')
    with pytest.raises(InvalidArguments, match='task "add": the function needs the argument "y"'):
        send_task("add", [1])
    with pytest.raises(NotFound, match="no task"):
        send_task("ad", [1])


def test_the_file_overrides_options_of_the_code_key_by_key(shop: Shop) -> None:
    shop.start(
        """
        from jobctl import task
        @task(retries=5, retry_delay=0.001, queue="mail", priority=7)
        def send(): raise ValueError("no")
        """,
        '[tasks."shop.send"]\nretries = 2',
        daemon=IMPORTS,
    )
    ended = shop.ended(send_task("shop.send"))
    assert len(ended["attempts"]) == 3
    assert (ended["queue"], ended["priority"]) == ("mail", 7)


@pytest.mark.slow
def test_a_schedule_at_the_function_makes_jobs(shop: Shop) -> None:
    shop.start(
        """
        from jobctl import task
        @task(every="1s", args=["tick"])
        def tick(word): return word
        """,
        daemon=IMPORTS,
    )
    daemon = shop.daemon
    jobs = daemon.until(
        "a job of the schedule",
        lambda: daemon.call(requests.List(task="shop.tick"))["jobs"],
    )
    assert daemon.ended(jobs[-1]["id"])["result"] == "tick"


def test_a_function_submits_further_jobs_to_its_own_daemon(shop: Shop) -> None:
    shop.start(
        """
        from jobctl import task
        @task
        def second(x): return x + 1
        @task
        def first(x): return second.delay(x + 1).id
        """,
        daemon=IMPORTS,
    )
    assert AsyncResult[int](shop.value("shop.first", 1)).get(timeout=LIMIT_S) == 3


# -- how functions end ----------------------------------------------------------------------------

ENDINGS = """
import os, sys, json

class Refused(Exception):
    def __init__(self, order):
        super().__init__(f"order {order} is refused")

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")

def refuse(order):
    raise Refused(order)

def chain():
    try:
        refuse(1)
    except Refused as error:
        raise KeyError("outer") from error

def mute(): raise Mute
def interrupt(): raise KeyboardInterrupt
def leave(): sys.exit("enough")
def deep(n=0): return deep(n + 1)
def nested():
    found = []
    for _ in range(100_000): found = [found]
    return found
def a_set(): return {1, 2}
def nan(): return [float("nan")]
def cycle():
    found = []
    found.append(found)
    return found
def lines(): return ("a\\nb", "\\u2028", "\\x00", "\\ud800", "é")
def long(size): return "x" * size
def loud(): raise ValueError("x" * 5_000_000)
def die(): os._exit(3)
def fine(): return "fine"
def echo(value): return value
def nest(levels):
    found = "end"
    for _ in range(levels): found = [found]
    return found
"""
NAMES = "nest echo refuse chain mute interrupt leave deep nested a_set nan cycle lines long loud die fine"
TASKS = "\n".join(f'[tasks.{name}]\nfunction = "shop:{name}"' for name in NAMES.split())


def test_an_exception_comes_back_with_type_message_and_traceback(shop: Shop) -> None:
    shop.start(ENDINGS, TASKS)

    error = shop.failure("refuse", 17)

    assert (error.type, error.text) == ("shop.Refused", "order 17 is refused")
    assert error.traceback.startswith("Traceback")
    assert "raise Refused(order)" in error.traceback
    assert "jobctl/worker" not in error.traceback
    result = AsyncResult[Any](error.job)
    assert result.failed()
    assert result.ready()
    assert not result.successful()
    assert result.state == result.status == "FAILURE"
    assert result.traceback == error.traceback
    assert isinstance(result.result, RemoteError)


@pytest.mark.parametrize(
    ("task", "kind", "says"),
    [
        ("chain", "KeyError", "'outer'"),
        ("mute", "shop.Mute", "could not be made"),
        ("interrupt", "KeyboardInterrupt", ""),
        ("leave", "SystemExit", "enough"),
        ("deep", "RecursionError", "maximum recursion depth"),
        ("nested", "InvalidResult", "nested too deeply"),
        ("a_set", "InvalidResult", "set is not JSON"),
        ("nan", "InvalidResult", "not JSON"),
        ("cycle", "InvalidResult", "not JSON"),
    ],
)
def test_whatever_a_function_does_its_worker_goes_on(
    shop: Shop, task: str, kind: str, says: str
) -> None:
    shop.start(ENDINGS, TASKS)
    before = shop.worker()

    error = shop.failure(task)

    assert error.type == kind
    assert says in error.text
    assert shop.value("fine") == "fine"
    assert shop.worker() == before


def test_a_chained_exception_tells_both(shop: Shop) -> None:
    shop.start(ENDINGS, TASKS)
    trace = shop.failure("chain").traceback
    assert trace.index("order 1 is refused") < trace.index("direct cause") < trace.index("'outer'")


def test_text_of_any_kind_comes_back_as_it_was(shop: Shop) -> None:
    shop.start(ENDINGS, TASKS)
    assert shop.value("lines") == ["a\nb", "\u2028", "\x00", "\ud800", "é"]


@pytest.mark.parametrize("size", [1, 213, 214, 215, 70_000, 10_000_000])
def test_a_result_of_any_size_comes_back(shop: Shop, size: int) -> None:
    """Around the size that fits a slot of marks, and far beyond."""
    shop.start(ENDINGS, TASKS)
    assert len(shop.value("long", size)) == size


def test_the_message_of_an_exception_is_kept_within_bounds(shop: Shop) -> None:
    shop.start(ENDINGS, TASKS)
    error = shop.failure("loud")
    assert error.type == "ValueError"
    assert 1000 < len(error.text) < 100_000


def test_a_worker_that_dies_fails_its_job_and_is_replaced(shop: Shop) -> None:
    shop.start(ENDINGS, TASKS)
    error = shop.failure("die")
    assert shop.daemon.status(error.job)["attempts"][0]["outcome"] == "lost"
    assert shop.value("fine") == "fine"


def test_a_result_is_not_nested_deeper_than_any_reader_can_follow(shop: Shop) -> None:
    """A value of 980 levels could be written by a worker, and ended the daemon that read it."""
    shop.start(ENDINGS, TASKS)
    assert shop.failure("nest", 980).type == "InvalidResult"
    assert shop.failure("nest", 101).type == "InvalidResult"
    found = shop.value("nest", 100)
    for _ in range(100):
        (found,) = found
    assert found == "end"


def test_brackets_inside_text_are_not_levels(shop: Shop) -> None:
    shop.start(ENDINGS, TASKS)
    text = '[{"\\' * 500
    assert shop.value("echo", [text, {text: [text] * 300}]) == [text, {text: [text] * 300}]


def test_nothing_of_a_long_result_stays_on_disk_when_it_is_stored(shop: Shop) -> None:
    shop.start(ENDINGS, TASKS)
    shop.value("long", 70_000)
    shop.failure("refuse", 1)
    outcomes = shop.daemon.state_dir / "run"
    shop.daemon.until(
        "the records to be removed", lambda: not list(outcomes.glob("*/outcomes/*.json"))
    )


# -- what they print ------------------------------------------------------------------------------


def test_what_a_function_prints_is_kept_with_its_attempt(shop: Shop) -> None:
    shop.start(
        """
        import sys
        def talk(word, fail=False):
            print("out", word)
            print("err", word, file=sys.stderr, flush=True)
            if fail: raise ValueError
            return word
        """,
        '[tasks.talk]\nfunction = "shop:talk"',
    )
    first, second = send_task("talk", ["one"]), send_task("talk", ["two", True])
    assert first.get(timeout=LIMIT_S) == "one"
    shop.ended(second)
    assert shop.daemon.output(first.id) == "out one\nerr one\n"
    assert shop.daemon.output(second.id) == "out two\nerr two\n"


@pytest.mark.slow
def test_of_a_flood_the_first_and_the_last_part_are_kept(shop: Shop) -> None:
    shop.start(
        """
        def flood(count):
            print("begin")
            for number in range(count): print("x" * 99)
            print("end")
        """,
        '[tasks.flood]\nfunction = "shop:flood"',
    )
    result = send_task("flood", [300_000])
    result.get(timeout=LIMIT_S)
    (attempt,) = shop.daemon.status(result.id)["attempts"]
    assert attempt["output_bytes"] == 300_000 * 100 + len("begin\nend\n")
    output = shop.daemon.output(result.id)
    assert output.startswith("begin\nxxx")
    assert output.endswith("xxx\nend\n")
    assert len(output) < 1 << 20


# -- retries, limits ------------------------------------------------------------------------------


def test_a_failing_function_is_tried_again_after_growing_waits(shop: Shop) -> None:
    shop.start(
        """
        from pathlib import Path
        def flaky(place):
            tries = Path(place)
            tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
            if len(tries.read_text()) < 4: raise ConnectionError("not yet")
            return len(tries.read_text())
        """,
        """
        [tasks.flaky]
        function = "shop:flaky"
        retries = 5
        retry_delay = "40ms"
        retry_jitter = false
        """,
    )
    result = send_task("flaky", [str(shop.daemon.folder / "tries")])
    assert result.get(timeout=LIMIT_S) == 4
    attempts = shop.daemon.status(result.id)["attempts"]
    assert [attempt["outcome"] for attempt in attempts] == ["failure"] * 3 + ["success"]
    waits = [
        (after["started_at"] - before["finished_at"]) / 1_000_000
        for before, after in itertools.pairwise(attempts)
    ]
    assert [wait >= least for wait, least in zip(waits, (0.04, 0.08, 0.16), strict=True)] == [
        True
    ] * 3, waits


def test_retries_of_one_call_stand_for_this_call(shop: Shop) -> None:
    shop.start(
        "def fail(): raise ValueError",
        '[tasks.fail]\nfunction = "shop:fail"\nretries = 5\nretry_delay = 0',
    )
    assert len(shop.ended(send_task("fail", retries=1))["attempts"]) == 2
    assert len(shop.ended(send_task("fail", retries=0))["attempts"]) == 1


WAITING = """
import os, time
def wait(gate):
    while not os.path.exists(gate): time.sleep(0.005)
    return os.getpid()
def pid(): return os.getpid()
"""
WAIT = '[tasks.wait]\nfunction = "shop:wait"\n'
PID = '[tasks.pid]\nfunction = "shop:pid"\n'


def test_a_function_past_its_limit_is_stopped_and_the_next_one_runs(shop: Shop) -> None:
    shop.start(WAITING, f'{WAIT}timeout = "300ms"\n{PID}')
    result = send_task("wait", ["/nonexistent/gate"])
    following = send_task("pid")
    ended = shop.ended(result)
    assert (ended["state"], ended["reason"]) == ("FAILURE", "timed out")
    assert ended["attempts"][0]["outcome"] == "timeout"
    assert ended["attempts"][0]["duration_s"] >= 0.25
    with pytest.raises(RemoteError, match="time limit"):
        result.get(timeout=LIMIT_S)
    assert following.get(timeout=LIMIT_S) > 0


def test_a_running_function_that_is_revoked_is_gone(shop: Shop) -> None:
    shop.start(WAITING, WAIT + PID)
    result = send_task("wait", ["/nonexistent/gate"])
    shop.daemon.until("the function to run", lambda: result.state == "STARTED")
    result.revoke()
    assert result.state == "REVOKED"
    with pytest.raises(JobRevoked, match="cancelled"):
        result.get(timeout=LIMIT_S)
    result.revoke()  # once more changes nothing
    assert send_task("pid").get(timeout=LIMIT_S) > 0


def test_a_job_that_expires_before_its_start_is_revoked(shop: Shop) -> None:
    shop.start(WAITING, PID)
    shop.daemon.call(requests.Pause(queue="default", paused=True))
    result = send_task("pid", expires=0.2)
    with pytest.raises(JobRevoked, match="expired"):
        result.get(timeout=LIMIT_S)


def test_a_worker_is_replaced_after_its_number_of_jobs(shop: Shop) -> None:
    shop.start(WAITING, PID, group="processes = 1\nmax_tasks_per_child = 3")
    pids = [shop.value("pid") for _ in range(7)]
    assert pids == [pids[0]] * 3 + [pids[3]] * 3 + [pids[6]]
    assert len(set(pids)) == 3


@pytest.mark.slow
def test_a_worker_makes_no_more_than_its_number_of_jobs_in_batches_either(shop: Shop) -> None:
    """Batches grow to dozens of short jobs: the last one of a worker is cut to what it may make."""
    shop.start(WAITING, PID, group="processes = 1\nmax_tasks_per_child = 25")
    results = submit_many(Signature(task="pid") for _ in range(260))
    shop.daemon.wait(*(result.id for result in results))
    made = Counter(result.get() for result in results)
    assert max(made.values()) == 25
    assert made.total() == 260
    assert {len(shop.daemon.status(result.id)["attempts"]) for result in results} == {1}


# -- batches --------------------------------------------------------------------------------------


def test_a_thousand_jobs_each_run_once(shop: Shop) -> None:
    shop.start(WAITING, PID, group="processes = 2")
    results = submit_many(Signature(task="pid") for _ in range(1000))
    ids = [result.id for result in results]
    ends = shop.daemon.wait(*ids)
    assert {end["state"] for end in ends} == {"SUCCESS"}
    assert len(set(ids)) == 1000
    assert all(len(shop.daemon.status(job)["attempts"]) == 1 for job in ids[::50])


def test_a_long_job_in_a_batch_gives_the_rest_to_others(shop: Shop) -> None:
    shop.start(WAITING, WAIT + PID, group="processes = 2")
    gate = shop.daemon.folder / "gate"
    # Short jobs first: the next batches are long ones.
    shop.daemon.wait(*(r.id for r in submit_many(Signature(task="pid") for _ in range(200))))
    calls: list[Signature[int]] = [Signature(task="wait", args=(str(gate),))]
    calls += [Signature(task="pid") for _ in range(50)]

    long, *short = submit_many(calls)

    shop.daemon.wait(*(result.id for result in short))
    assert long.state == "STARTED"
    gate.touch()
    pid = long.get(timeout=LIMIT_S)
    assert pid > 0
    assert len(shop.daemon.status(long.id)["attempts"]) == 1


# -- modules that do not import, reloads ----------------------------------------------------------


@pytest.mark.slow
def test_tasks_of_a_broken_module_wait_with_the_reason_until_a_reload_mends_it(shop: Shop) -> None:
    shop.write("def fine(): return 1", "other")
    shop.start(
        "import nonexistent_module",
        """
        [tasks.broken]
        function = "shop:run"
        [tasks.fine]
        function = "other:fine"
        [tasks."shop.decorated"]
        retries = 1
        """,
        daemon=IMPORTS,
    )
    job = send_task("broken", ["a"])
    assert shop.value("fine") == 1
    reason = shop.daemon.status(job.id)["reason"]
    assert "shop" in reason
    assert "nonexistent_module" in reason
    with pytest.raises(JobctlError, match="nonexistent_module"):
        shop.reload()
    assert shop.value("fine") == 1

    shop.write(
        """
        from jobctl import task
        def run(word): return word
        @task
        def decorated(): return 2
        """
    )
    shop.reload()

    assert job.get(timeout=LIMIT_S) == "a"
    assert shop.value("shop.decorated") == 2


@pytest.mark.slow
def test_jobs_wait_with_the_reason_when_their_module_breaks_between_two_starts(shop: Shop) -> None:
    tables = '[tasks.run]\nfunction = "shop:run"\naliases = ["old"]'
    shop.start("def run(): return 1", tables)
    daemon = shop.daemon
    daemon.call(requests.Pause(queue="default", paused=True))
    jobs = [send_task("run"), send_task("old")]
    daemon.stop()
    shop.write("def run(: broken")
    daemon.start()

    daemon.call(requests.Pause(queue="default", paused=False))

    for job in jobs:
        daemon.until("the reason", lambda job=job: "SyntaxError" in reason_of(daemon, job))
    before = daemon.call(requests.Inspect(what="stats"))["turns"]
    after = daemon.call(requests.Inspect(what="stats"))["turns"]
    assert after - before < 10, "the daemon is busy with jobs that cannot run"

    shop.write("def run(): return 2")
    shop.reload()
    assert [job.get(timeout=LIMIT_S) for job in jobs] == [2, 2]


def reason_of(daemon: Daemon, result: AsyncResult[Any]) -> str:
    return daemon.status(result.id)["reason"] or ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise SystemExit('not here')", "SystemExit: not here"),
        ("def other(): ...", 'module "shop" has no "run"'),
        ("run = 17", "is not a function"),
        ("syntax error", "SyntaxError"),
        ("from jobctl import task\n@task(trail=False)\ndef run(): ...", "trail is not kept"),
    ],
)
def test_a_reload_with_a_broken_module_is_refused_and_changes_nothing(
    shop: Shop, text: str, says: str
) -> None:
    shop.start("def run(): return 1", '[tasks.run]\nfunction = "shop:run"')
    before = shop.worker()
    shop.write(text)

    with pytest.raises(JobctlError) as caught:
        shop.reload()

    assert says in str(caught.value)
    assert shop.value("run") == 1
    assert shop.worker() == before


@pytest.mark.slow
def test_a_function_of_another_environment_survives_a_reload_with_changed_code(shop: Shop) -> None:
    """``python = …``: its module, and another one it needs, are in that environment only."""
    home = shop.daemon.folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    packages: Path = next(home.glob("lib/python*/site-packages"))
    (packages / "onlyhere.py").write_text("VALUE = 1\n")
    module = packages / "theirs.py"
    text = """
        import sys, onlyhere
        from jobctl import task
        def show(): return [onlyhere.VALUE, sys.prefix, NUMBER]
        @task(queue="default")
        def decorated(): return [onlyhere.VALUE, sys.prefix, NUMBER]
        NUMBER = {number}
    """
    module.write_text(textwrap.dedent(text.format(number=1)))
    shop.start(
        "",
        '[tasks.show]\nfunction = "theirs:show"',
        group=f'python = "{home}/bin/python"\nimports = ["theirs"]\nprocesses = 1',
    )
    assert shop.value("show") == [1, str(home), 1]
    assert shop.value("theirs.decorated") == [1, str(home), 1]

    # The same length in the same second: what was compiled before must not be taken for it.
    module.write_text(textwrap.dedent(text.format(number=2)))
    shop.reload()

    assert shop.value("show") == [1, str(home), 2]
    assert shop.value("theirs.decorated") == [1, str(home), 2]


def test_a_running_function_ends_in_the_old_code_while_new_jobs_run_in_the_new(shop: Shop) -> None:
    text = WAITING + "\ndef version(): return {number}\n"
    tasks = WAIT + '[tasks.version]\nfunction = "shop:version"\n'
    shop.start(text.format(number=1), tasks)
    gate = shop.daemon.folder / "gate"
    old = send_task("wait", [str(gate)])
    shop.daemon.until("the function to run", lambda: old.state == "STARTED")

    shop.write(text.format(number=22))
    shop.reload()

    assert shop.value("version") == 22
    assert old.state == "STARTED"
    gate.touch()
    assert old.get(timeout=LIMIT_S) > 0


@pytest.mark.slow
def test_jobs_of_a_removed_task_wait_and_run_when_it_returns(shop: Shop) -> None:
    shop.start("def run(): return 1", '[tasks.run]\nfunction = "shop:run"')
    daemon = shop.daemon
    daemon.call(requests.Pause(queue="default", paused=True))
    job = send_task("run")
    shop.configure("", group="processes = 1")
    assert any("run" in change for change in shop.reload())
    daemon.call(requests.Pause(queue="default", paused=False))
    daemon.until("the reason", lambda: daemon.status(job.id)["reason"] == "no such task")
    assert job.state == "PENDING"
    with pytest.raises(NotFound):
        send_task("run")

    shop.configure('[tasks.run]\nfunction = "shop:run"', group="processes = 1")
    shop.reload()

    assert job.get(timeout=LIMIT_S) == 1


@pytest.mark.parametrize("is_command_first", [True, False])
def test_a_job_of_a_task_that_changed_its_kind_fails_and_says_so(
    shop: Shop, is_command_first: bool
) -> None:
    kinds = ['command = ["true"]', 'function = "shop:run"']
    if not is_command_first:
        kinds.reverse()
    shop.start("def run(): return 1", f"[tasks.run]\n{kinds[0]}")
    shop.daemon.call(requests.Pause(queue="default", paused=True))
    job = send_task("run")
    shop.configure(f"[tasks.run]\n{kinds[1]}", group="processes = 1")
    shop.reload()
    shop.daemon.call(requests.Pause(queue="default", paused=False))
    with pytest.raises(RemoteError, match="when this job was submitted"):
        job.get(timeout=LIMIT_S)
    assert shop.ended(send_task("run"))["state"] == "SUCCESS"


@pytest.mark.slow
def test_an_alias_keeps_jobs_over_a_rename(shop: Shop) -> None:
    shop.start("def run(): return 1", '[tasks.old]\nfunction = "shop:run"')
    shop.daemon.call(requests.Pause(queue="default", paused=True))
    job = send_task("old")
    shop.write("def run(): return 22")
    shop.configure('[tasks.new]\nfunction = "shop:run"\naliases = ["old"]', group="processes = 1")
    shop.reload()
    shop.daemon.call(requests.Pause(queue="default", paused=False))
    assert job.get(timeout=LIMIT_S) == 22
    assert shop.value("old") == 22
    assert shop.value("new") == 22


@pytest.mark.slow
def test_a_running_function_outlives_its_killed_daemon(shop: Shop) -> None:
    shop.start(WAITING, WAIT + PID)
    gate = shop.daemon.folder / "gate"
    result = send_task("wait", [str(gate)])
    (worker,) = shop.daemon.until(
        "the function to run",
        lambda: [w for w in shop.daemon.workers("function") if result.id in w["attempts"]],
    )
    shop.daemon.kill()
    gate.touch()
    shop.daemon.start()
    assert result.get(timeout=LIMIT_S) == worker["pid"]
    assert len(shop.daemon.status(result.id)["attempts"]) == 1


# -- the page -------------------------------------------------------------------------------------


def test_what_the_page_on_functions_shows_runs(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/how-to/python-functions.md").read_text()
    stock, mail, calls = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    package = shop.code / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "stock.py").write_text(stock)
    (package / "mail.py").write_text(mail)
    shop.configure(
        """
        [tasks.count]
        function = "shop.stock:count"
        [tasks."shop.mail.send"]
        retries = 5
        [tasks.backup]
        command = ["true"]
        """,
        daemon='imports = ["shop.mail"]',
    )
    shop.daemon.start()
    monkeypatch.syspath_prepend(str(shop.code))
    job = shop.daemon.submit(task="count", args=["A7"], kwargs={"minimum": "3"})
    assert shop.daemon.ended(job)["result"] == ["A7-0", "A7-1", "A7-2"]
    try:
        told: dict[str, Any] = {}
        exec(compile(calls, "page", "exec"), told)
        assert told["result"].get(timeout=LIMIT_S) == {"to": "a@example.org", "subject": "later"}
        newest = shop.daemon.call(requests.List())["jobs"]
        assert [job["task"] for job in newest].count("shop.mail.send") == 6
        assert [job["task"] for job in newest].count("backup") == 1
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
            del sys.modules[name]


def test_a_function_that_takes_a_while_tells_its_processor_time(shop: Shop) -> None:
    shop.start(
        """
        import time

        def work():
            end = time.process_time() + 0.05
            while time.process_time() < end:
                pass

        def wait():
            time.sleep(0.05)
        """,
        """
        [tasks.work]
        function = "shop:work"
        [tasks.wait]
        function = "shop:wait"
        """,
    )

    (worked,) = shop.daemon.ended(shop.daemon.submit(task="work"))["attempts"]
    (waited,) = shop.daemon.ended(shop.daemon.submit(task="wait"))["attempts"]

    assert 0.04 <= worked["user_s"] + worked["system_s"] <= worked["duration_s"] + 0.01
    assert waited["user_s"] + waited["system_s"] < 0.04
