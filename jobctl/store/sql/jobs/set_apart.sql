-- Gives a job that was claimed in this very transaction back, as one with a limit of its own.
-- Changes: RELEASE.
UPDATE jobs
SET state = 'PENDING', kind = 'limited', line = 'l/' || queue, token = NULL, started_at = NULL,
    number = number - 1
WHERE id = :id AND token = :token AND state = 'STARTED'
