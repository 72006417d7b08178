"""What is sent."""

from celery_tasks.main import app
from jobctl.contrib.celery.utils.log import get_task_logger

logger = get_task_logger(__name__)


@app.task(name="send_sms_code")
def send_sms_code(mobile, code):
    """Send a code."""
    logger.warning("to %s: %s", mobile, code)
    print("sent")
    return True


@app.task(bind=True, name="call_with_code", max_retries=2)
def call_with_code(self, mobile, code):
    """Call until somebody answers, which is at the third time."""
    try:
        if self.request.retries < 2:
            raise ConnectionError("nobody answers")
    except ConnectionError as error:
        raise self.retry(exc=error, countdown=0) from error
    return [mobile, code, self.request.retries]
