-- Notes for up to :limit of those that wait for some jobs, given as a JSON list of ids, how these have ended; those
-- that have not ended are passed by, however many wait for them. Needs dependencies_open. Gives back who waited,
-- for whom, and whether in vain. Fewer rows than :limit: nobody else waits for one that has ended.
UPDATE dependencies
SET status = CASE WHEN until = 'end' THEN 'met'
                  WHEN (SELECT state FROM jobs WHERE id = on_job) = 'SUCCESS' THEN 'met'
                  ELSE 'broken' END
WHERE (job_id, on_job) IN (
  SELECT job_id, on_job FROM dependencies
  WHERE on_job IN (SELECT value FROM json_each(:ended)
                   WHERE EXISTS (SELECT 1 FROM jobs WHERE id = value AND line IS NULL))
    AND status = 'open'
  LIMIT :limit)
RETURNING job_id, on_job, status = 'met'
