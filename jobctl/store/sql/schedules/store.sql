-- Keeps the table of a schedule that a command has added or edited. Needs the schedule to be in force.
UPDATE schedules SET stored = :stored, stored_by = :uid, stored_at = :now
WHERE name = :name AND removed_at IS NULL
