-- A slice of the schedules in force above the id :after, by id. Needs both primary keys.
SELECT s.id, s.name, s.rule, r.identity, r.anchor_at, r.zone_data, s.watermark, s.runs,
  s.paused_at, s.paused_until, s.booted, s.created_at, s.pruned_until
FROM schedules AS s JOIN rules AS r ON r.schedule = s.id AND r.number = s.rule
WHERE s.id > :after AND s.removed_at IS NULL ORDER BY s.id LIMIT :limit
