-- I6: the ranges of one rule of a schedule never overlap.
SELECT 'schedule ' || schedule || ': the fates from ' || first || ' on overlap those up to ' || before
FROM (
  SELECT schedule, first, lag(last) OVER (PARTITION BY schedule, rule ORDER BY first) AS before
  FROM fires
)
WHERE before >= first
LIMIT :limit
