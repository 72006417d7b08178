-- A schedule in force by its name. No row: there is none. Needs the index of names.
SELECT s.id, s.name, s.rule, r.identity, r.anchor_at, r.zone_data, s.watermark, s.runs,
  s.paused_at, s.paused_until, s.booted, s.created_at, s.pruned_until
FROM schedules AS s JOIN rules AS r ON r.schedule = s.id AND r.number = s.rule
WHERE s.name = :name AND s.removed_at IS NULL
