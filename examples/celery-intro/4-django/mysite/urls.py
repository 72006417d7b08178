"""The address of the view."""

from demo.views import index
from django.urls import path

urlpatterns = [path("", index)]
