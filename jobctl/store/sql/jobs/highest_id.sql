-- The highest id of a job that is in the store.
SELECT max(id) FROM jobs
