"""The application and its task in one module."""

import time

from jobctl.contrib.celery import Celery

app = Celery("test", backend="redis://127.0.0.1:6379/1", broker="redis://127.0.0.1:6379/2")


@app.task
def add(x, y):
    """Take a while to add."""
    time.sleep(1)
    return x + y
