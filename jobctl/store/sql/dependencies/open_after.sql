-- Up to :limit jobs after :after for which others wait, by id. Needs dependencies_open.
SELECT DISTINCT on_job FROM dependencies
WHERE status = 'open' AND on_job > :after ORDER BY on_job LIMIT :limit
