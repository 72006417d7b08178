-- The oldest job that failed and because of which a job was revoked: it waited for that, or for others that
-- did. No row: it was revoked for another reason, or not at all. Needs the primary key.
WITH RECURSIVE back (id) AS (
  SELECT on_job FROM dependencies WHERE job_id = :job_id AND status = 'broken'
  UNION
  SELECT dependencies.on_job FROM dependencies JOIN back ON dependencies.job_id = back.id
  WHERE dependencies.status = 'broken'
)
SELECT jobs.id FROM back JOIN jobs ON jobs.id = back.id WHERE jobs.state = 'FAILURE'
ORDER BY jobs.id LIMIT 1
