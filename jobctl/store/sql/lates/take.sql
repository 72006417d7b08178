-- Takes up to :limit that are due at :now, oldest first. Needs the primary key.
DELETE FROM lates WHERE (due_at, job_id, route) IN (
  SELECT due_at, job_id, route FROM lates WHERE due_at <= :now ORDER BY due_at LIMIT :limit
)
RETURNING due_at, job_id, route, instant_at
