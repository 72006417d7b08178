-- Forgets what a job that is removed waited for.
DELETE FROM dependencies WHERE job_id = ?
