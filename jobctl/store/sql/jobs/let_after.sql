-- Lets jobs go, given as a JSON list of ids, that waited for others and now wait for none any more: to their
-- ready lines, or to wait for their time. Needs dependencies_unmet. No state changes.
UPDATE jobs
SET line = CASE WHEN eta > :now THEN 'eta' ELSE substr(kind, 1, 1) || '/' || queue END,
    reason = CASE WHEN eta > :now THEN 'waits for its time' END
WHERE id IN (SELECT value FROM json_each(:ids)) AND line = 'after'
  AND NOT EXISTS (SELECT 1 FROM dependencies WHERE job_id = jobs.id AND status = 'open')
RETURNING id, kind, line, task, queue, overrides, gate, priority
