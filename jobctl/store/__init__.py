"""The only SQL of jobctl: one SQLite file, one connection, one thread.

What is promised: a committed transaction is on stable storage (WAL, ``synchronous=FULL``, verified at
each open); illegal states are refused by the database; every statement that changes a state names
the states it changes from. What is left to others: deciding. The modules here write what dispatcher,
beat and handlers have decided.

One module a table, one statement a file below ``sql/``; the function beside a statement has its name.
"""
