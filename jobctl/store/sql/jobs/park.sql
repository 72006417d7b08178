-- Puts a job that was claimed in this very transaction aside: the plan has no such task.
-- Changes: RELEASE.
UPDATE jobs
SET state = 'PENDING', line = 'task/' || task, token = NULL, started_at = NULL,
    number = number - 1, reason = 'no such task', gate = NULL
WHERE id = :id AND token = :token AND state = 'STARTED'
