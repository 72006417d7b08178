"""BLAKE2b without the package `hashlib`, which loads OpenSSL: a megabyte of memory, for nothing that is
used here. The class is the same one that `hashlib.blake2b` is."""

from __future__ import annotations

from _blake2 import blake2b

__all__ = ["blake2b"]
