-- Remembers that a queue is paused; repeating it keeps the first moment.
INSERT INTO queues (name, paused_at) VALUES (:name, :now)
ON CONFLICT (name) DO UPDATE SET paused_at = coalesce(paused_at, :now)
