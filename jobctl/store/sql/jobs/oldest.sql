-- A slice of all jobs above :after, oldest ids first. Needs the primary key.
SELECT id, submitted_at, finished_at FROM jobs WHERE id > :after ORDER BY id LIMIT :limit
