-- The fates of a schedule, newest first, below :before.
SELECT f.first, f.last, f.count, f.fate, f.job_id, f.reason, s.name
FROM fires AS f JOIN schedules AS s ON s.id = f.schedule
WHERE s.name = :name AND f.first < :before ORDER BY f.first DESC LIMIT :limit
