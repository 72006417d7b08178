-- Queue, task and start of the jobs with workers that were claimed after :since. Reads the running ones only,
-- through jobs_line.
SELECT queue, task, started_at FROM jobs WHERE line >= 'w/' AND line < 'w0' AND started_at > :since
