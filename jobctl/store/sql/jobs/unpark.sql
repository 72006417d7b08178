-- Brings up to :limit jobs that waited for a task to be defined to their ready line. Needs jobs_line.
-- No state changes.
UPDATE jobs
SET line = substr(kind, 1, 1) || '/' || queue, reason = NULL
WHERE id IN (SELECT id FROM jobs WHERE line = 'task/' || :task ORDER BY priority DESC, id LIMIT :limit)
RETURNING id, kind, line, task, queue, overrides, gate, priority
