-- How many unfinished jobs stand in each line; the lines of all gates together are 'gate'. Reads jobs_line
-- only. There may be as many gates as jobs, so they are not told one by one.
SELECT line, count(*) FROM jobs WHERE line < 'gate/' GROUP BY line
UNION ALL
SELECT 'gate', count(*) FROM jobs WHERE line >= 'gate/' AND line < 'gate0' HAVING count(*) > 0
UNION ALL
SELECT line, count(*) FROM jobs WHERE line >= 'gate0' GROUP BY line
