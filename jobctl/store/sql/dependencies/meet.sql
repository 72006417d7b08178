-- Notes for the jobs that wait for some, given as a JSON list of ids, which of these have ended as they should.
-- Needs dependencies_open. Gives back the jobs that waited; one may come more than once.
UPDATE dependencies SET status = 'met'
WHERE on_job IN (SELECT value FROM json_each(?)) AND status = 'open'
  AND EXISTS (SELECT 1 FROM jobs WHERE id = on_job AND line IS NULL
                AND (until = 'end' OR jobs.state = 'SUCCESS'))
RETURNING job_id
