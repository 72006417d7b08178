-- A row when some step takes results and waits for the end of a job. Needs dependencies_on.
SELECT 1 FROM dependencies JOIN steps USING (job_id)
WHERE on_job = ? AND takes IS NOT NULL LIMIT 1
