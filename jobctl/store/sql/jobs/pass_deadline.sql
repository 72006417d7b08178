-- Ends up to :limit waiting jobs whose deadline has passed. Needs jobs_deadline. Changes: REVOKE.
UPDATE jobs
SET state = 'REVOKED', line = NULL, reason = :reason, finished_at = :now
WHERE id IN (SELECT id FROM jobs
             WHERE deadline_at <= :now AND state IN ('PENDING', 'RETRY')
             ORDER BY deadline_at LIMIT :limit)
  AND state IN ('PENDING', 'RETRY')
RETURNING id
