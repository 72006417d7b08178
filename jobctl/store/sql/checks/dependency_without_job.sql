-- I1: what a job waits for goes with it, in one transaction.
SELECT 'job ' || job_id || ' is not there, but waits for job ' || on_job
FROM dependencies
WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = dependencies.job_id)
LIMIT :limit
