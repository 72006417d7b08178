-- Those of some jobs, given as a JSON list of ids, that are steps. Needs the primary key.
SELECT job_id, workflow, takes, delay_s, on_error, joins, gathers FROM steps
WHERE job_id IN (SELECT value FROM json_each(?))
