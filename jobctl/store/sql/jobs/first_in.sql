-- The first :limit jobs of a line. Needs jobs_line. No rows: the line is empty.
SELECT id, kind, line, task, queue, overrides, gate, priority FROM jobs
WHERE line = :line ORDER BY priority DESC, id LIMIT :limit
