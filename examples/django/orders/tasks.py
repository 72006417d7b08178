"""What is done outside of requests. Found because this module of an application is called ``tasks``."""

from django.utils import timezone

from jobctl.contrib.django import task
from orders.models import Order


@task(retries=3, retry_delay=1)
def confirm(number: int) -> str:
    """Confirm an order; the row is there, because the job was submitted after the commit."""
    order = Order.objects.get(pk=number)
    order.confirmed_at = timezone.now()
    order.save(update_fields=["confirmed_at"])
    return f"confirmed: {order}"


@task
def count_open() -> int:
    """Give the number of orders that nobody has confirmed."""
    return Order.objects.filter(confirmed_at=None).count()


@task
async def find(book: str) -> list[int]:
    """Give the numbers of the orders of a book, with the asynchronous calls of the model."""
    return [order.pk async for order in Order.objects.filter(book=book).order_by("pk")]
