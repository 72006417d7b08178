-- Which attempt of a job had this token. No row: none that is recorded.
SELECT number, verdict FROM attempts WHERE job_id = ? AND token = ?
