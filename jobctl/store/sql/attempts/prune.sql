-- Removes all attempts of a job that was removed.
DELETE FROM attempts WHERE job_id = ?
