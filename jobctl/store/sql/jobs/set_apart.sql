-- Gives a job that was claimed in this very transaction back, as one with a limit of its own, to the
-- ready line of such jobs. It goes on holding its gate.
-- Changes: RELEASE.
UPDATE jobs
SET state = 'PENDING', kind = 'limited', line = :line, token = NULL, started_at = NULL,
    number = number - 1
WHERE id = :id AND token = :token AND state = 'STARTED'
