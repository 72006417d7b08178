-- The newest daemon that had begun at a moment. No row: none had, or it was forgotten.
SELECT began_at, stopped_at FROM daemons WHERE began_at <= :at ORDER BY id DESC LIMIT 1
