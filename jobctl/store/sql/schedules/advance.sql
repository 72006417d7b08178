-- Moves a watermark forward, never back. No row: it stands there already, or beyond.
UPDATE schedules SET watermark = :watermark WHERE id = :id AND watermark < :watermark
RETURNING id
