-- How many unfinished jobs stand in each line. Reads jobs_line only.
SELECT line, count(*) FROM jobs WHERE line IS NOT NULL GROUP BY line
