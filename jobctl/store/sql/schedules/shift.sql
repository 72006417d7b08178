-- Moves the watermarks of all intervals that follow no wall clock, and counts their next rule.
UPDATE schedules SET rule = rule + 1, watermark = watermark + :by
WHERE removed_at IS NULL AND id IN
  (SELECT r.schedule FROM rules AS r
   WHERE r.ends_at IS NULL AND r.identity ->> 'kind' = 'interval' AND r.identity ->> 'start' IS NULL)
