-- A slice of all jobs above :after with their tasks, oldest ids first. Needs the primary key.
SELECT id, task, submitted_at, finished_at FROM jobs WHERE id > :after ORDER BY id LIMIT :limit
