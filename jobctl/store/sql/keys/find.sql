-- Which of the keys in the JSON list :keys are bound, to which job, by which request.
SELECT key, job_id, digest FROM keys
WHERE uid = :uid AND key IN (SELECT value FROM json_each(:keys))
