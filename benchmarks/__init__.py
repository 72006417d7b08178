"""The budgets of jobctl, measured: jobctl, its peers and the limits of the machine in one run.

``python -m benchmarks`` takes every measure, contestants in turn, and writes
``docs/explanation/performance.md``. Nothing here is imported by jobctl, and no test judges a time: a
figure is a ratio to something that was measured beside it.

Some modules of this package run in the environment of a peer, where jobctl is not installed; so this
one imports nothing.
"""
