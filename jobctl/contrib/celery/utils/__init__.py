"""``celery.utils``: the loggers of tasks."""
