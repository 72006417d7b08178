"""One module of tasks."""

import time

from celery_app import app


@app.task
def add(x, y):
    """Add."""
    time.sleep(1)
    return x + y
