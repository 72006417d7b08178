"""Due instants become jobs, and every instant gets its fate."""

from jobctl.beat.beat import Beat, DuplicateJob, MakeJob
from jobctl.beat.entry import Entry, State

__all__ = ["Beat", "DuplicateJob", "Entry", "MakeJob", "State"]
