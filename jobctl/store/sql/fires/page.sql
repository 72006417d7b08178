-- A slice of the fates of one schedule before the row (:first, :rule), newest first. Needs the primary key.
SELECT first, rule, last, count, fate, job_id, earlier_job, reason FROM fires
WHERE schedule = :schedule AND (first, rule) < (:first, :rule)
ORDER BY first DESC, rule DESC LIMIT :limit
