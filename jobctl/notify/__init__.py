"""Telling people: what is told of jobs, and how it is sent.

`jobctl.notify.notifications` is the daemon's part: in the transaction that writes what is to be told of, it
makes a job of the route's task (`jobctl.plan.senders`). `jobctl.notify.sender` is what these jobs run, in a
process of its own: the daemon never speaks to a mail server.
"""
