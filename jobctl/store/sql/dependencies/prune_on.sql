-- Forgets who waited for a job that is removed. Needs dependencies_on.
DELETE FROM dependencies WHERE on_job = ?
