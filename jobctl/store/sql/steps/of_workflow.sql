-- Up to :limit jobs of a workflow after :after, with their states, by id. Needs steps_workflow.
SELECT jobs.id, jobs.state, jobs.task, jobs.reason, jobs.submitted_at, jobs.started_at, jobs.finished_at
FROM steps JOIN jobs ON jobs.id = steps.job_id
WHERE steps.workflow = :workflow AND steps.job_id > :after ORDER BY steps.job_id LIMIT :limit
