-- I1, I6: an instant whose fate is "submitted", without its job.
SELECT 'schedule ' || schedule || ': the instant ' || first || ' made job ' || job_id || ', which is not there'
FROM fires
WHERE job_id > :newest_removed AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = fires.job_id)
LIMIT :limit
