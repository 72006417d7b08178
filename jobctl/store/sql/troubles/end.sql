-- Forgets that a task has failed.
DELETE FROM troubles WHERE task = :task AND route = :route
