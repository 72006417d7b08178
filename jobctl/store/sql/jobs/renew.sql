-- Starts a fresh round of a job that has ended; its history is kept. No row: it has not ended.
-- Refused by jobs_unique when another job with :unique_key waits or runs: the caller looks before.
-- Changes: RENEW.
UPDATE jobs
SET state = 'PENDING', line = substr(kind, 1, 1) || '/' || queue, reason = NULL,
    failures = 0, losses = 0, finished_at = NULL, eta = NULL, expires_at = NULL, gate = NULL,
    unique_key = :unique_key, deadline_at = :deadline_at
WHERE id = :id AND state IN ('SUCCESS', 'FAILURE', 'REVOKED')
RETURNING id, kind, line, task, queue, overrides, gate, priority
