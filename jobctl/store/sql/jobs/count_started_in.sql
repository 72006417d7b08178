-- How many jobs of one queue are with workers. Reads the running ones only, through jobs_line.
SELECT count(*) FROM jobs WHERE line >= 'w/' AND line < 'w0' AND queue = ?
