-- Forgets all daemons but the :keep newest.
DELETE FROM daemons WHERE id <= (SELECT max(id) FROM daemons) - :keep
