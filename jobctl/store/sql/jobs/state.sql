-- The state of one job, and nothing else. No row: no such job.
SELECT state FROM jobs WHERE id = ?
