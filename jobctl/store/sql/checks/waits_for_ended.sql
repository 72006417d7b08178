-- I2: a job that waits for one that has ended, or is not there, would wait for ever.
SELECT 'job ' || d.job_id || ' waits for job ' || d.on_job || ', which has ended or is not there'
FROM dependencies AS d
WHERE d.status = 'open'
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = d.on_job AND jobs.line IS NOT NULL)
LIMIT :limit
