-- Every schedule that a command has added, by id.
SELECT name, stored, stored_by, stored_at FROM schedules WHERE stored IS NOT NULL ORDER BY id
