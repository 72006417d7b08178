-- Notes that a daemon makes no more jobs. No change: it said so already.
UPDATE daemons SET stopped_at = :now WHERE id = :id AND stopped_at IS NULL
