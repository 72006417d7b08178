-- Judges again what a job waits for, after jobs that it waited for in vain began a fresh round.
UPDATE dependencies
SET status = (SELECT CASE WHEN line IS NOT NULL THEN 'open'
                          WHEN until = 'end' THEN 'met'
                          ELSE CASE jobs.state WHEN 'SUCCESS' THEN 'met' ELSE 'broken' END END
              FROM jobs WHERE id = on_job)
WHERE job_id = ? AND EXISTS (SELECT 1 FROM jobs WHERE id = on_job)
RETURNING status
