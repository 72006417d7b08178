-- Gives a claimed job back: nothing of the attempt had begun, so it is not counted.
-- No row: the token is stale. Changes: RELEASE.
UPDATE jobs
SET state = 'PENDING', token = NULL, started_at = NULL, number = number - 1, reason = NULL,
    line = substr(kind, 1, 1) || '/' || queue
WHERE id = ? AND token = ? AND state = 'STARTED'
RETURNING id, kind, line, task, queue, overrides, gate, priority
