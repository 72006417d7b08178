-- Ends a job that waits. No row: it is running or has ended. Changes: REVOKE.
UPDATE jobs
SET state = 'REVOKED', line = NULL, reason = :reason, finished_at = :now
WHERE id = :id AND state IN ('PENDING', 'RETRY')
