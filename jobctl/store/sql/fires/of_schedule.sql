-- The fates of a schedule, newest first, below :before. After a clock was set back two rules may have had
-- the same moments: that of the later rule is the newer one.
SELECT f.first, f.last, f.count, f.fate, f.job_id, f.earlier_job, f.reason, f.rule, s.name
FROM fires AS f JOIN schedules AS s ON s.id = f.schedule
WHERE s.name = :name AND f.first < :before ORDER BY f.first DESC, f.rule DESC LIMIT :limit
