"""Which job goes next, and what becomes of it when its attempt has ended."""

from jobctl.dispatcher.dispatcher import Dispatcher

__all__ = ["Dispatcher"]
