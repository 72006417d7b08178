-- Forgets that jobs, given as a JSON list of ids, which are removed were steps. Gives back their workflows.
DELETE FROM steps WHERE job_id IN (SELECT value FROM json_each(?)) RETURNING workflow
