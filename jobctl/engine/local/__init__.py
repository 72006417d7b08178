"""Attempts on this host: templates, the workers and keepers they fork, and taking over after a restart."""
