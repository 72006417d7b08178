"""Look at a job from another program, by its id."""

import sys

from tasks import app

from jobctl.contrib.celery.result import AsyncResult

job = AsyncResult(id=sys.argv[1], app=app)
if job.successful():
    print("it gave", job.get())
    job.forget()
elif job.failed():
    print("it failed")
elif job.status == "PENDING":
    print("it waits")
elif job.status == "RETRY":
    print("it is tried again")
elif job.status == "STARTED":
    print("it runs")
