"""jobctl runs the jobs of a server: scheduled and queued, commands and Python functions."""

__version__ = "0.1.0"
