"""The application is there whenever Django is, so that shared tasks find it."""

from mysite.celery import app as celery_app

__all__ = ("celery_app",)
