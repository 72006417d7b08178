-- Sets the size of a worker group in place of that of the file.
INSERT INTO worker_groups (name, size) VALUES (:name, :size)
ON CONFLICT (name) DO UPDATE SET size = excluded.size
