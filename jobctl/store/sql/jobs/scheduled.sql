-- The jobs that wait for their time, soonest first. Needs jobs_eta.
SELECT * FROM jobs WHERE line = 'eta' ORDER BY eta LIMIT ?
