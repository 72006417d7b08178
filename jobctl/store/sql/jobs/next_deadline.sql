-- The earliest deadline of a waiting job. Needs jobs_deadline.
SELECT min(deadline_at) FROM jobs
WHERE deadline_at IS NOT NULL AND state IN ('PENDING', 'RETRY')
