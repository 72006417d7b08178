-- I1: attempts go with their job, in one transaction.
SELECT 'attempt ' || number || ' of job ' || job_id || ' is there without its job'
FROM attempts
WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = attempts.job_id)
LIMIT :limit
