-- The row of a rule that follows the moment :after. Needs the primary key.
SELECT first, rule, last, count, fate, job_id, earlier_job, reason FROM fires
WHERE schedule = :schedule AND first > :after AND rule = :rule ORDER BY first LIMIT 1
