-- Makes a running job another one, which waits: its attempt asked for that. No row: the token is stale.
-- Changes: RELEASE.
UPDATE jobs
SET state = 'PENDING', token = NULL, started_at = NULL, stop_asked = NULL, line = :line, reason = NULL,
    kind = :kind, task = :task, queue = :queue, priority = :priority, payload = :payload,
    overrides = :overrides, eta = :eta, expires_at = :expires_at, gate = NULL, failures = 0, losses = 0
WHERE id = :id AND token = :token AND state = 'STARTED'
RETURNING id, kind, line, task, queue, overrides, gate, priority
