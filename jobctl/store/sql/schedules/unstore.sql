-- Forgets the table of a schedule that a command has added.
UPDATE schedules SET stored = NULL, stored_by = NULL, stored_at = NULL WHERE name = :name
