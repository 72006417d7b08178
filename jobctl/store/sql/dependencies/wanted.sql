-- Those of some jobs, given as a JSON list of ids, that an unfinished job waits for or has waited for.
-- Needs dependencies_on.
SELECT DISTINCT on_job FROM dependencies
WHERE on_job IN (SELECT value FROM json_each(?))
  AND EXISTS (SELECT 1 FROM jobs WHERE id = job_id AND line IS NOT NULL)
