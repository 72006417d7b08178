-- Scheduled jobs of which a route of [notify] tells if they have not succeeded at "due_at"; "instant_at" is the
-- instant that made them.
CREATE TABLE lates (
  due_at     INTEGER NOT NULL,
  job_id     INTEGER NOT NULL,
  route      TEXT NOT NULL,
  instant_at INTEGER NOT NULL,
  PRIMARY KEY (due_at, job_id, route)
) STRICT, WITHOUT ROWID;
