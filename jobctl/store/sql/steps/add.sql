-- Makes a job a step of a workflow; one that is a step already becomes this one.
INSERT OR REPLACE INTO steps (job_id, workflow, takes, delay_s, on_error, joins, gathers)
VALUES (?, ?, ?, ?, ?, ?, ?)
