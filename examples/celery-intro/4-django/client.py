"""Ask the view as a browser does, and wait for its jobs."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
django.setup()

from django.test import Client  # noqa: E402 -- Django is set up before

from jobctl.contrib.celery.result import AsyncResult  # noqa: E402 -- as above

jobs = Client().get("/").json()
print(AsyncResult(jobs["add"]).get(timeout=60), AsyncResult(jobs["mail"]).get(timeout=60))
