-- Adds one job. The id is given by the caller, who never gives one twice.
INSERT INTO jobs (id, state, kind, task, queue, priority, line, payload, overrides, labels, uid,
                  schedule, submitted_at, eta, expires_at, reason, unique_key, deadline_at)
VALUES (?, 'PENDING', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
