"""The view answers at once, and the jobs are done meanwhile."""

from django.http import JsonResponse

from demo.tasks import add, test1


def index(request):
    """Give the ids of two jobs."""
    mail = test1.delay("hello", "a mail from a job", "a@example.org", "b@example.org")
    return JsonResponse({"add": add.delay(3, 5).id, "mail": mail.id})
