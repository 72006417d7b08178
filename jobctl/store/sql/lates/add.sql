-- Remembers when a scheduled job is late in the eyes of a route.
INSERT INTO lates (due_at, job_id, route, instant_at) VALUES (:due_at, :job_id, :route, :instant_at)
