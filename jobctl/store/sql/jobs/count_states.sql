-- Counts the next jobs by state, and those of them that were submitted since two moments. Needs the primary
-- key. No rows: there are no more jobs.
SELECT state, count(*), sum(submitted_at >= :day), sum(submitted_at >= :week), max(id)
FROM (SELECT id, state, submitted_at FROM jobs WHERE id > :after ORDER BY id LIMIT :limit)
GROUP BY state
