-- A slice of all schedules above :after, those that were removed included.
SELECT id FROM schedules WHERE id > :after ORDER BY id LIMIT :limit
