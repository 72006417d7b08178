"""The application: it finds the module ``tasks`` of each package that it is told."""

from jobctl.contrib.celery import Celery

app = Celery("demo")
app.config_from_object("celery_tasks.config")
app.autodiscover_tasks(["celery_tasks.sms"])
