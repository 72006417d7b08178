-- The unfinished jobs of one schedule, oldest first. Needs jobs_schedule.
SELECT id, state, line, stop_asked FROM jobs
WHERE schedule = :schedule AND line IS NOT NULL ORDER BY id LIMIT :limit
