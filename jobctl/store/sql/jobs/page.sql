-- A slice of all jobs, newest first, below :before. The caller filters and asks again.
SELECT * FROM jobs WHERE id < :before ORDER BY id DESC LIMIT :limit
