-- I1: a key whose job is neither there nor was removed as old.
SELECT 'key "' || key || '" of uid ' || uid || ' stands for job ' || job_id || ', which is not there'
FROM keys
WHERE job_id > :newest_removed AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = keys.job_id)
LIMIT :limit
