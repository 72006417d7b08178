"""Submit two jobs; wait for both."""

from celery_app import task1, task2

first = task1.add.apply_async(args=[2, 8])
second = task2.multiply.apply_async(args=[3, 7])
print("hello world")
print(first.get(timeout=60), second.get(timeout=60))
