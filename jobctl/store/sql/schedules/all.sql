-- Every schedule that is in force.
SELECT id, name, identity, anchor_at, watermark, created_at, stored FROM schedules
WHERE removed_at IS NULL ORDER BY name
