-- Ends up to :limit jobs whose latest start has passed before their first attempt. Needs jobs_expiry, hence
-- RETRY, of which none has "number" 0. Changes: REVOKE.
UPDATE jobs
SET state = 'REVOKED', line = NULL, reason = 'expired', finished_at = :now
WHERE id IN (SELECT id FROM jobs
             WHERE expires_at <= :now AND state IN ('PENDING', 'RETRY') AND number = 0
             ORDER BY expires_at LIMIT :limit)
  AND state IN ('PENDING', 'RETRY')
RETURNING id
