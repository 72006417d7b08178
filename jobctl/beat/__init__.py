"""Due instants become jobs, and every instant gets its fate."""

from jobctl.beat.beat import Beat
from jobctl.beat.entry import Entry, State
from jobctl.beat.prepared import Prepared
from jobctl.beat.serving import DuplicateJob, MakeJob

__all__ = ["Beat", "DuplicateJob", "Entry", "MakeJob", "Prepared", "State"]
