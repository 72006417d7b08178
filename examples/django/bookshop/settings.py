"""Settings of Django, and of jobctl: those that begin with JOBCTL_."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("BOOKSHOP_SECRET", "only for an example")
DEBUG = os.environ.get("BOOKSHOP_DEBUG") == "1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "bookshop.urls"
WSGI_APPLICATION = "bookshop.wsgi.application"
INSTALLED_APPS = ["orders", "jobctl.contrib.django"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "bookshop.sqlite3",
        # The web and the workers write into one file: wait for each other.
        "OPTIONS": {"timeout": 60, "transaction_mode": "IMMEDIATE"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "Europe/Berlin"
USE_TZ = True

JOBCTL_CONFIG = BASE_DIR / "jobctl.toml"
JOBCTL_SOCKET = BASE_DIR / "jobctl.sock"
JOBCTL_STATE_DIR = BASE_DIR / "jobctl-state"
JOBCTL_SCHEDULES = {
    "nightly": {"task": "orders.tasks.count_open", "cron": "30 2 * * *"},
}
