-- The first daemon that began after a moment. No row: none has.
SELECT began_at, stopped_at FROM daemons WHERE began_at > :at ORDER BY id LIMIT 1
