"""Due instants become jobs, and every instant gets its fate."""

from jobctl.beat.beat import Beat, Entry, Submit

__all__ = ["Beat", "Entry", "Submit"]
