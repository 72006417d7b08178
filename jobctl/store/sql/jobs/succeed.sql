-- Ends a job whose attempt succeeded. Needs the primary key. No row changed: the token is stale.
-- Without RETURNING, which would cost three times the rest of the statement. Changes: SUCCEED.
UPDATE jobs
SET state = 'SUCCESS', line = NULL, token = NULL, stop_asked = NULL, finished_at = ?
WHERE id = ? AND token = ? AND state = 'STARTED'
