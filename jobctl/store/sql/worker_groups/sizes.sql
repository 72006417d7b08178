-- The size of every worker group for which a command has set one.
SELECT name, size FROM worker_groups ORDER BY name
