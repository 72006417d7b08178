-- A slice of the fates of a schedule after the row (:first, :rule), oldest first, each with what is known
-- of its job: "found" is NULL when it is not there. Needs the primary keys of both tables.
SELECT f.first, f.rule, f.last, f.count, f.job_id, j.id AS found, j.schedule AS job_schedule
FROM fires AS f LEFT JOIN jobs AS j ON j.id = f.job_id
WHERE f.schedule = :schedule AND (f.first, f.rule) > (:first, :rule)
ORDER BY f.first, f.rule LIMIT :limit
