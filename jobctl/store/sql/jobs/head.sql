-- The first job of a line. Needs jobs_line. No row: the line is empty.
SELECT priority, id FROM jobs WHERE line = ? ORDER BY priority DESC, id LIMIT 1
