-- Lets a paused queue go on.
UPDATE queues SET paused_at = NULL WHERE name = :name
