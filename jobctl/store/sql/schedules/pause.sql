-- Pauses a schedule, or sets until when: its beginning stays.
UPDATE schedules SET paused_at = coalesce(paused_at, :now), paused_until = :until WHERE id = :id
