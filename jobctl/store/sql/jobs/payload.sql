-- The arguments of a job. No row: no such job.
SELECT payload FROM jobs WHERE id = ?
