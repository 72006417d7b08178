-- Forgets what a job waited for.
DELETE FROM dependencies WHERE job_id = ?
