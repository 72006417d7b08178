-- Takes a schedule out of force; its fires stay for history. A pause goes with it.
UPDATE schedules SET removed_at = :now, watermark = max(watermark, :ends_at), paused_at = NULL, paused_until = NULL
WHERE id = :id AND removed_at IS NULL
