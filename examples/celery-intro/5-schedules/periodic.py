"""Tasks and when they are due."""

from datetime import timedelta

from jobctl.contrib.celery import Celery
from jobctl.contrib.celery.schedules import crontab

app = Celery("periodic", broker="redis://127.0.0.1:6379/2", backend="redis://127.0.0.1:6379/1")
app.conf.timezone = "Asia/Shanghai"
app.conf.beat_schedule = {
    "add-every-3-seconds": {
        "task": "periodic.add",
        "schedule": timedelta(seconds=3),
        "args": (2, 3),
    },
    "write-every-3-seconds": {
        "task": "periodic.write",
        "schedule": 3.0,
        "kwargs": {"text": "hello"},
    },
    "without-its-argument": {"task": "periodic.write", "schedule": timedelta(seconds=3)},
    "at-half-past-two": {
        "task": "periodic.add",
        "schedule": crontab(hour=14, minute=30),
        "args": (16, 16),
    },
}


@app.task
def add(x, y):
    """Add."""
    return x + y


@app.task
def write(text):
    """Write into a file."""
    with open("written.txt", "a") as file:
        file.write(f"{text}\n")
