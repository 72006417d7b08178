-- Puts a waiting job with a worker that has its outcome, in a store that is being restored. No row: it does
-- not wait. Changes: CLAIM.
UPDATE jobs
SET state = 'STARTED', line = :line, token = :token, number = number + 1, started_at = :started_at,
    reason = NULL
WHERE id = :id AND state IN ('PENDING', 'RETRY')
