-- Writes the row of an attempt that returned, as attempts/add does: a job that runs for microseconds should
-- not have to bind what its row has none of.
INSERT INTO attempts (job_id, number, token, worker, verdict, claimed_at, started_at, finished_at, result)
VALUES (?, ?, ?, ?, 'success', ?, ?, ?, ?)
