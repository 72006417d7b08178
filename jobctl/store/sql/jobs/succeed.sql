-- Ends a job whose attempt succeeded. Needs the primary key. No row: the token is stale.
-- Changes: SUCCEED.
UPDATE jobs
SET state = 'SUCCESS', line = NULL, token = NULL, reason = NULL, stop_asked = NULL, finished_at = ?
WHERE id = ? AND token = ? AND state = 'STARTED'
RETURNING id, number, started_at
