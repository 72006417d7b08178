-- Begins the next rule of all intervals that follow no wall clock: the same one, moved by :by, from their
-- watermarks on.
INSERT INTO rules (schedule, number, begins_at, identity, anchor_at, zone_data)
SELECT r.schedule, r.number + 1, s.watermark + :by, r.identity, r.anchor_at + :by, r.zone_data
FROM rules AS r JOIN schedules AS s ON s.id = r.schedule AND s.rule = r.number
WHERE s.removed_at IS NULL
  AND r.identity ->> 'kind' = 'interval' AND r.identity ->> 'start' IS NULL
