-- A slice of the jobs of one priority in a line, after :after. Needs jobs_line. No rows: no more of it.
SELECT id, kind, line, task, queue, overrides, gate, priority FROM jobs
WHERE line = :line AND priority = :priority AND id > :after ORDER BY id LIMIT :limit
