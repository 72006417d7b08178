-- Remembers how a task fares in the eyes of a route.
INSERT INTO troubles (task, route, failures, untold, told_at, thread)
VALUES (:task, :route, :failures, :untold, :told_at, :thread)
ON CONFLICT (task, route) DO UPDATE SET failures = excluded.failures, untold = excluded.untold,
  told_at = excluded.told_at, thread = excluded.thread
