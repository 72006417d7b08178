-- Adds a schedule, or takes up one of the same name that was removed: its past stays gone.
INSERT INTO schedules (name, identity, anchor_at, watermark, created_at, stored)
VALUES (:name, :identity, :anchor_at, :now, :now, :stored)
ON CONFLICT (name) DO UPDATE
SET identity = :identity, anchor_at = :anchor_at, watermark = max(watermark, :now),
    removed_at = NULL, stored = :stored
RETURNING id, anchor_at, watermark
