-- A job's attempts, first to last. Empty: none has ended yet.
SELECT * FROM attempts WHERE job_id = ? ORDER BY number
