-- Takes a schedule out of force; its fires stay for history.
UPDATE schedules SET removed_at = :now WHERE name = :name AND removed_at IS NULL
