-- The id of a schedule by its name, also of one that was removed. No row: there never was one.
SELECT id FROM schedules WHERE name = :name
