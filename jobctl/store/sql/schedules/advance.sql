-- Moves a watermark forward, never back, and notes how many jobs were made. No row: it stands there
-- already, or beyond.
UPDATE schedules SET watermark = :watermark, runs = :runs WHERE id = :id AND watermark < :watermark
RETURNING id
