-- Since when the first job of one priority in a line waits: from its ETA on, if it had one. Needs jobs_line.
-- No row: no such job.
SELECT max(submitted_at, ifnull(eta, 0)) FROM jobs
WHERE line = :line AND priority = :priority ORDER BY id LIMIT 1
