-- Moves a watermark forward, never back, and notes how many jobs were made. No row changes: it stands there
-- already, or beyond.
UPDATE schedules SET watermark = ?1, runs = ?2 WHERE id = ?3 AND watermark < ?1
