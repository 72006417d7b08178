"""The daemon: one process, one thread, one loop. `main` builds the parts; they meet nowhere else."""
