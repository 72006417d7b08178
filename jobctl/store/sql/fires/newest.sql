-- The newest row of a rule that begins no later than :at. Needs the primary key. Rows of one rule do not
-- overlap: if any holds that moment, it is this one.
SELECT first, rule, last, count, fate, job_id, earlier_job, reason FROM fires
WHERE schedule = :schedule AND first <= :at AND rule = :rule ORDER BY first DESC LIMIT 1
