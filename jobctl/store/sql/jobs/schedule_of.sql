-- The schedule that made a job. No row: none did, or there is no such job.
SELECT schedule FROM jobs WHERE id = ? AND schedule IS NOT NULL
