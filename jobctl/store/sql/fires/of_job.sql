-- The instant that a job was made for. No row: it was made for none. Needs fires_job.
SELECT s.name, f.first, f.rule FROM fires AS f JOIN schedules AS s ON s.id = f.schedule
WHERE f.job_id = ?
