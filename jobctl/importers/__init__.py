"""What other schedulers were told, as tables of a configuration: crontabs, Celery's beat and applications.

An importer changes nothing. It gives back text for a person to look at, and for each entry whether it
means the same here.
"""
