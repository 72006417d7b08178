-- Adds a schedule with its first rule still to be written, or takes up one of the same name that was
-- removed, under its next rule: its past stays gone.
INSERT INTO schedules (name, watermark, created_at, booted)
VALUES (:name, :now, :now, :booted)
ON CONFLICT (name) DO UPDATE
SET rule = rule + 1, watermark = :now, runs = 0, booted = :booted, removed_at = NULL
RETURNING id, rule, created_at, pruned_until
