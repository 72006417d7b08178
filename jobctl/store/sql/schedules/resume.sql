-- Ends the pause of a schedule.
UPDATE schedules SET paused_at = NULL, paused_until = NULL WHERE id = :id
