-- Ends a job whose running attempt was stopped because somebody asked. No row: the token is stale.
-- Changes: REVOKE.
UPDATE jobs
SET state = 'REVOKED', line = NULL, token = NULL, stop_asked = NULL, reason = :reason,
    finished_at = :now
WHERE id = :id AND token = :token AND state = 'STARTED'
