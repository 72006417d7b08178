-- How many bytes the newest results of jobs, given as a JSON list of ids, have together.
SELECT coalesce(sum(octet_length(attempts.result)), 0) FROM jobs
JOIN attempts ON attempts.job_id = jobs.id AND attempts.number = jobs.number
WHERE jobs.id IN (SELECT value FROM json_each(?))
