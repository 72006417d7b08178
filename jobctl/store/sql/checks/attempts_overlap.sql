-- I3, a remark: a clock that was set back looks the same.
SELECT 'job ' || job_id || ': attempt ' || number || ' was claimed before the one before it had ended'
FROM (
  SELECT job_id, number, claimed_at,
         lag(finished_at) OVER (PARTITION BY job_id ORDER BY number) AS before
  FROM attempts
)
WHERE before > claimed_at
LIMIT :limit
