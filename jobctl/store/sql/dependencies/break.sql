-- Notes for the jobs that wait for some, given as a JSON list of ids, which of these have ended otherwise.
-- Run after "meet". Needs dependencies_open. Gives back the jobs that waited, and for whom in vain.
UPDATE dependencies SET status = 'broken'
WHERE on_job IN (SELECT value FROM json_each(?)) AND status = 'open'
  AND EXISTS (SELECT 1 FROM jobs WHERE id = on_job AND line IS NULL)
RETURNING job_id, on_job
