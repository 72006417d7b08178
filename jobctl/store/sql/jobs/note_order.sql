-- Remembers what a claimed attempt runs with, until its own row is written.
UPDATE jobs SET ran_with = ? WHERE id = ?
