-- Ends those of some jobs, given as a JSON list of ids, that wait. Needs the primary key. Gives back which.
-- Changes: REVOKE.
UPDATE jobs
SET state = 'REVOKED', line = NULL, reason = :reason, finished_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND state IN ('PENDING', 'RETRY')
RETURNING id
