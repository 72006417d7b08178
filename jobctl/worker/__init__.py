"""One attempt at a time: templates, function workers, keepers of commands.

This package runs in processes of its own, started with the interpreter of a worker group, which need
not be the daemon's: it uses the standard library only, and never the store.
"""
