-- Moves up to :limit jobs whose time has come to their ready line. Needs jobs_eta. No state changes.
UPDATE jobs
SET line = iif(kind = 'function', 'f/', 'c/') || queue, reason = NULL
WHERE id IN (SELECT id FROM jobs WHERE line = 'eta' AND eta <= :now ORDER BY eta LIMIT :limit)
RETURNING line
