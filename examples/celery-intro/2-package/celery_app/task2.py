"""Another one."""

import time

from celery_app import app


@app.task
def multiply(x, y):
    """Multiply."""
    time.sleep(1)
    return x * y
