-- Ends up to :limit jobs whose latest start has passed. Needs jobs_expiry. Changes: REVOKE.
UPDATE jobs
SET state = 'REVOKED', line = NULL, reason = 'expired', finished_at = :now
WHERE id IN (SELECT id FROM jobs
             WHERE expires_at <= :now AND state IN ('PENDING', 'RETRY')
             ORDER BY expires_at LIMIT :limit)
  AND state IN ('PENDING', 'RETRY')
RETURNING id
