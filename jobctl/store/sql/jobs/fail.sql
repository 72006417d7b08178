-- Ends a job for good after an attempt. No row: the token is stale. Changes: FAIL.
UPDATE jobs
SET state = 'FAILURE', line = NULL, token = NULL, stop_asked = NULL,
    failures = :failures, losses = :losses, reason = :reason, finished_at = :now
WHERE id = :id AND token = :token AND state = 'STARTED'
