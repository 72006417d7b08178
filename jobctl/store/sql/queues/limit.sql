-- Sets the limits of a queue in place of those of the file; NULL: those of the file again.
INSERT INTO queues (name, limits) VALUES (:name, :limits)
ON CONFLICT (name) DO UPDATE SET limits = excluded.limits
