"""Submit a job, and do not wait for it."""

from tasks import add

result = add.delay(2, 3)
print(result.id)
