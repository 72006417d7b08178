"""What the web answers."""

import json

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt

from orders.models import Order
from orders.tasks import confirm


@csrf_exempt
def create(request: HttpRequest) -> JsonResponse:
    """Store an order, and have it confirmed when it is stored for good."""
    wanted = json.loads(request.body)
    with transaction.atomic():
        order = Order.objects.create(book=wanted["book"], copies=wanted["copies"])
        confirm.delay_on_commit(order.pk)
        if order.copies > 100:
            # Rolled back: no order, and no job.
            transaction.set_rollback(True)
            return JsonResponse({"error": "so many are not in stock"}, status=409)
    return JsonResponse({"number": order.pk}, status=201)


def show(request: HttpRequest, number: int) -> JsonResponse:
    """Tell what became of an order."""
    order = get_object_or_404(Order, pk=number)
    return JsonResponse({"order": str(order), "is_confirmed": order.confirmed_at is not None})
