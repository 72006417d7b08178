-- When the next one is due. Needs the primary key.
SELECT due_at FROM lates ORDER BY due_at LIMIT 1
