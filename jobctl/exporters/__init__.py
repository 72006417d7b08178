"""Our schedules as other schedulers have them, so that nobody is locked in: crontabs, systemd timers.

An exporter changes nothing. It gives back text for a person to look at, and says of each schedule what the
other scheduler cannot say.
"""
