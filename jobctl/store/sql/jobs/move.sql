-- Moves up to :limit waiting jobs of a task from one ready line to that of another queue.
-- Walks the line from its start, so it goes in slices. No rows: none is left there.
UPDATE jobs
SET line = substr(line, 1, 2) || :queue, queue = :queue
WHERE id IN (SELECT id FROM jobs WHERE line = :line AND task = :task LIMIT :limit)
RETURNING id
