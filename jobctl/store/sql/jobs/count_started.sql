-- How many jobs of each queue and task are with workers. Reads the running ones only, through jobs_line.
SELECT queue, task, count(*) FROM jobs WHERE line >= 'w/' AND line < 'w0' GROUP BY queue, task
