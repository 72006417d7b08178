-- The running attempt of a job, if :token is its token. No row: the token is stale.
SELECT id, number, line, started_at, task, kind, overrides, failures, losses, stop_asked, ran_with, gate,
       deadline_at
FROM jobs WHERE id = ? AND token = ? AND state = 'STARTED'
