"""Settings under their old names."""

from datetime import timedelta

from jobctl.contrib.celery.schedules import crontab

BROKER_URL = "redis://127.0.0.1:6379/2"
CELERY_RESULT_BACKEND = "redis://127.0.0.1:6379/1"
CELERY_TIMEZONE = "Asia/Shanghai"
CELERY_IMPORTS = ("celery_app.task1", "celery_app.task2")
CELERYBEAT_SCHEDULE = {
    "add-every-30-seconds": {
        "task": "celery_app.task1.add",
        "schedule": timedelta(seconds=30),
        "args": (5, 8),
    },
    "multiply-at-some-time": {
        "task": "celery_app.task2.multiply",
        "schedule": crontab(hour=14, minute=30),
        "args": (3, 7),
    },
}
