-- Begins an attempt of a job that nobody runs: the daemon ends it in the same transaction. No row: it does not
-- wait. Changes: CLAIM.
UPDATE jobs
SET state = 'STARTED', line = 'w/', token = random() & 0x7fffffffffffffff, number = number + 1,
    started_at = :now, reason = NULL
WHERE id = :id AND state IN ('PENDING', 'RETRY')
RETURNING token, number
