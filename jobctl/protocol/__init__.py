"""What travels between jobctl's processes: framing, requests, worker messages, versions.

Everything is JSON lines over Unix sockets: one object a line, UTF-8, ended by a line feed.
"""
