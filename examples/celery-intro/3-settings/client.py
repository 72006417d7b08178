"""Submit jobs with text as their arguments."""

from celery_tasks.sms.tasks import call_with_code, send_sms_code

print(send_sms_code.delay("13800000000", "1234").get(timeout=60))
print(call_with_code.delay("13800000000", "1234").get(timeout=60))
