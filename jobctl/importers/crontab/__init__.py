"""Crontabs become tables: every line with a verdict, and nothing changed in silence.

A line goes through these files: `reading` (what cron takes it for), `times` (what its fields mean, to cron
and here), `commands` (what its command does by hand that has an option here), `judging` (its verdict),
`tables` (what is written). `programs` holds in what the crons differ, `percent` the rule of the percent sign,
`anacron` the other table that hosts have, `run_parts` folders of scripts, `names` how tasks are called. All of
that is pure. `hosts` alone looks at a host: which tables it has, which users, which cron.

Facts about cronie were taken from its source (``entry.c``, ``env.c``, ``do_command.c``) and are held by cases
that cronie itself has answered (``tests/data/schedule/cronie_cases.jsonl``).
"""
