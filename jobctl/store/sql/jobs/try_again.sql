-- Puts a job back after a failed or lost attempt; it waits for :eta. No row: the token is stale.
-- Changes: TRY_AGAIN.
UPDATE jobs
SET state = 'RETRY', line = 'eta', eta = :eta, token = NULL, stop_asked = NULL,
    failures = :failures, losses = :losses, reason = :reason, gate = NULL
WHERE id = :id AND token = :token AND state = 'STARTED'
