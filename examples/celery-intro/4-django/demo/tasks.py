"""What is too slow for a request."""

import logging
import time

from django.core.mail import EmailMultiAlternatives

from jobctl.contrib.celery import shared_task

logger = logging.getLogger("django")


@shared_task
def add(x, y):
    """Add."""
    time.sleep(1)
    logger.info("add: %s + %s", x, y)
    return x + y


@shared_task
def test1(subject, content, *args):
    """Send a mail to each address."""
    message = EmailMultiAlternatives(subject, content, "shop@example.org", args)
    message.attach_alternative(f"<p>{content}</p>", "text/html")
    return message.send()
