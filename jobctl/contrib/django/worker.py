"""What the daemon imports for a Django project: ``[daemon] imports = ["jobctl.contrib.django.worker"]``."""

from jobctl.contrib.django.workers import prepare_worker

prepare_worker()
