"""What is stored."""

from django.db import models


class Order(models.Model):
    """One order of one book."""

    book = models.CharField(max_length=200)
    copies = models.PositiveIntegerField()
    confirmed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.copies} x {self.book}"
