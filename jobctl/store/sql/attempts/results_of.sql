-- What jobs, given as a JSON list of ids, have returned that succeeded; NULL where nothing is kept of it.
SELECT jobs.id, attempts.result FROM jobs
LEFT JOIN attempts ON attempts.job_id = jobs.id AND attempts.number = jobs.number
WHERE jobs.id IN (SELECT value FROM json_each(?)) AND jobs.state = 'SUCCESS'
