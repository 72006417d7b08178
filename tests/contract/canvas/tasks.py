"""The tasks of the canvas suite, as text: one module for Celery and one for jobctl, which differ in an import."""

from __future__ import annotations

TASKS = """
import fcntl
from {library} import Celery, chain, chord, group, signature

app = Celery("canvas")


def record(path, value):
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(str(value) + "\\n")
    return value


@app.task
def add(x, y):
    return x + y

@app.task
def mul(x, y):
    return x * y

@app.task
def neg(x):
    return -x

@app.task
def xsum(numbers):
    return sum(numbers)

@app.task
def identity(x):
    return x

@app.task
def pair(*args, **kwargs):
    return [list(args), kwargs]

@app.task
def nothing():
    return None

@app.task(ignore_result=True)
def ignored(x):
    return x

@app.task
def fail(*args):
    raise ValueError("refused")

@app.task
def fail_with(kind, text):
    raise {{"KeyError": KeyError, "ZeroDivisionError": ZeroDivisionError}}[kind](text)

@app.task
def note(value, path):
    return record(path, value)

@app.task
def note_only(path):
    return record(path, "called")

@app.task
def on_error(request, exc, traceback, path):
    record(path, [request.task.rpartition(".")[2], type(exc).__name__.replace("Remote", ""), str(exc)])

@app.task
def on_error_id(task_id):
    return None

@app.task(bind=True, max_retries=3, default_retry_delay=0)
def third_time(self, x):
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return x

@app.task(bind=True)
def header_of(self, *args):
    return (self.request.headers or {{}}).get("tenant")

@app.task(bind=True)
def by_add(self, x):
    raise self.replace(add.s(x, 10))

@app.task(bind=True)
def by_chain(self, x):
    raise self.replace(add.s(x, 10) | mul.s(2))

@app.task(bind=True)
def by_group(self, x):
    raise self.replace(group(add.s(x, i) for i in range(3)))

@app.task(bind=True)
def by_chord(self, x):
    raise self.replace(chord([add.s(x, i) for i in range(3)], xsum.s()))

@app.task(bind=True)
def by_itself(self, x):
    raise self.replace(self.si(x - 1) if x else identity.s("done"))

@app.task(bind=True)
def by_failure(self, x):
    raise self.replace(fail.s(x))

@app.task
def call_back(x, callback):
    signature(callback).delay(x).forget() if False else signature(callback).delay(x)
    return x
"""


def text(library: str) -> str:
    """The module for ``celery`` or ``jobctl.contrib.celery``."""
    return TASKS.format(library=library)
