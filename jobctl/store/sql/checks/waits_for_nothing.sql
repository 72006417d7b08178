-- I2: a job that stands with those that wait for others has one to wait for.
SELECT 'job ' || id || ' stands with those that wait for others, and waits for none'
FROM jobs
WHERE line = 'after'
  AND NOT EXISTS (SELECT 1 FROM dependencies AS d WHERE d.job_id = jobs.id AND d.status = 'open')
LIMIT :limit
