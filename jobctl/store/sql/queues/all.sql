-- Every queue of which something is remembered.
SELECT name, paused_at FROM queues ORDER BY name
