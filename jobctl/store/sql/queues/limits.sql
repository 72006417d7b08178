-- The limits of every queue for which a command has set any.
SELECT name, limits FROM queues WHERE limits IS NOT NULL ORDER BY name
