-- The jobs that waited for this one in vain, by id. Needs dependencies_on.
SELECT job_id FROM dependencies WHERE on_job = ? AND status = 'broken' ORDER BY job_id
