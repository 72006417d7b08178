-- The highest priority below :below of the jobs in a line. Needs jobs_line. No row: there is none.
SELECT priority FROM jobs WHERE line = :line AND priority < :below ORDER BY priority DESC LIMIT 1
