-- What a command has added under a name. No row: nothing.
SELECT name, stored, stored_by, stored_at FROM schedules WHERE name = :name AND stored IS NOT NULL
