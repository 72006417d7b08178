-- The jobs that wait for their time, soonest first. Needs jobs_eta.
SELECT * FROM jobs INDEXED BY jobs_eta WHERE line = 'eta' ORDER BY eta LIMIT ?
