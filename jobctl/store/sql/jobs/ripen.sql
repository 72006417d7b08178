-- Moves up to :limit jobs whose time has come to their ready line. Needs jobs_eta. No state changes.
UPDATE jobs
SET line = substr(kind, 1, 1) || '/' || queue, reason = NULL
WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_eta
             WHERE line = 'eta' AND eta <= :now ORDER BY eta LIMIT :limit)
RETURNING id, kind, line, task, queue, overrides, gate, priority
