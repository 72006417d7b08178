-- Whose a job is, and nothing else. No row: no such job.
SELECT uid FROM jobs WHERE id = ?
