-- A slice of the schedules that a command has added, above the id :after, by id. Needs the primary key.
SELECT id, name, stored, stored_by, stored_at
FROM schedules WHERE stored IS NOT NULL AND id > :after ORDER BY id LIMIT :limit
