-- What a job waits for, or waited for, by id. Needs the primary key.
SELECT on_job, until, status FROM dependencies WHERE job_id = :job_id ORDER BY on_job LIMIT :limit
