-- Lets a job wait for another one.
INSERT INTO dependencies (job_id, on_job, until, status) VALUES (?, ?, ?, ?)
