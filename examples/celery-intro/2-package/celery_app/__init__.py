"""The application in a package, with its settings in a module."""

from jobctl.contrib.celery import Celery

app = Celery("demo")
app.config_from_object("celery_app.celeryconfig")
