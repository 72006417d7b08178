"""Helpers that tests share: the real daemon in a folder of its own, clocks, builders."""
