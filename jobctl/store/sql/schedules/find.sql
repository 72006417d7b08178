-- A schedule by its name, also one that was removed. No row: there never was one.
SELECT id, name, rule, watermark, runs, paused_at, paused_until, created_at, removed_at, pruned_until
FROM schedules WHERE name = :name
