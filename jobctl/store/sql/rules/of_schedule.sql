-- Every rule of a schedule, oldest first; also of one that was removed.
SELECT r.number, r.begins_at, r.ends_at, r.identity, r.anchor_at, r.zone_data
FROM rules AS r JOIN schedules AS s ON s.id = r.schedule
WHERE s.name = :name ORDER BY r.number
