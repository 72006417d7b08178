-- A slice of the fates of one schedule below :before, newest first. Needs the primary key.
SELECT first, last, count, fate, job_id, reason FROM fires
WHERE schedule = :schedule AND first < :before ORDER BY first DESC LIMIT :limit
