-- Gives a worker group the size of the file again; no row: it has that already.
DELETE FROM worker_groups WHERE name = :name
