-- Takes up to :limit jobs of one ready line for one worker, highest priority first, then oldest.
-- Atomic: a job is claimed by one worker only. Needs jobs_line. No rows: the line is empty.
-- The order of the rows is not defined. Changes: CLAIM.
UPDATE jobs
SET state = 'STARTED', line = :worker_line, token = random() & 0x7fffffffffffffff,
    number = number + 1, started_at = :now, reason = NULL
WHERE id IN (SELECT id FROM jobs WHERE line = :line ORDER BY priority DESC, id LIMIT :limit)
  AND state IN ('PENDING', 'RETRY')
RETURNING id, priority, kind, task, queue, payload, overrides, token, number, failures, losses, uid,
          started_at, deadline_at, ifnull(eta, submitted_at)
