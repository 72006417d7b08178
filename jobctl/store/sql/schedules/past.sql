-- A slice of all schedules above the id :after, by id, those that were removed included.
SELECT id, name, rule, watermark, runs, paused_at, paused_until, created_at, removed_at, pruned_until
FROM schedules WHERE id > :after ORDER BY id LIMIT :limit
