-- The jobs of a workflow, with their states, by id. Needs steps_workflow.
SELECT jobs.id, jobs.state, jobs.task, jobs.reason, jobs.submitted_at, jobs.started_at, jobs.finished_at
FROM steps JOIN jobs ON jobs.id = steps.job_id
WHERE steps.workflow = ? ORDER BY jobs.id
