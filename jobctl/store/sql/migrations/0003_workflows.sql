-- Workflows: jobs that were submitted as one, in an order, with results that are handed on.

-- "id" is of the same numbers as those of jobs: neither is ever the other. "shape" says as JSON how the
-- jobs belong together: a job is its id; ["chain", …] one after the other, ["group", …] side by side,
-- ["chord", header, body], ["link", first, …] what follows the first.
CREATE TABLE workflows (
  id           INTEGER PRIMARY KEY,
  uid          INTEGER NOT NULL,
  shape        TEXT NOT NULL,
  submitted_at INTEGER NOT NULL
) STRICT;

-- A job of a workflow. "takes" says as JSON whose results become its first argument: the id of a job, or a
-- list of such; NULL: nobody's. "delay_s": it waits so long when its turn has come. "on_error" are the jobs
-- that are made when it fails, as a JSON list of what a submit says of them; with "joins" also when it is
-- revoked because another one failed. "gathers": nobody runs it, what it takes is its result.
CREATE TABLE steps (
  job_id   INTEGER PRIMARY KEY,
  workflow INTEGER NOT NULL,
  takes    TEXT,
  delay_s  REAL,
  on_error TEXT,
  joins    INTEGER NOT NULL DEFAULT 0 CHECK (joins IN (0, 1)),
  gathers  INTEGER NOT NULL DEFAULT 0 CHECK (gathers IN (0, 1))
) STRICT;
CREATE INDEX steps_workflow ON steps (workflow, job_id);

-- A job whose work is replaced waits for jobs that are newer than it: the rule that the older one is waited
-- for goes. Rings cannot be made all the same, because what replaces a job waits for nothing outside of it.
CREATE TABLE dependencies_now (
  job_id INTEGER NOT NULL,
  on_job INTEGER NOT NULL,
  until  TEXT NOT NULL CHECK (until IN ('success', 'end')),
  status TEXT NOT NULL CHECK (status IN ('open', 'met', 'broken')),
  PRIMARY KEY (job_id, on_job),
  CHECK (on_job <> job_id)
) STRICT, WITHOUT ROWID;
INSERT INTO dependencies_now SELECT job_id, on_job, until, status FROM dependencies;
DROP TABLE dependencies;
ALTER TABLE dependencies_now RENAME TO dependencies;
CREATE INDEX dependencies_on ON dependencies (on_job);
CREATE INDEX dependencies_open ON dependencies (on_job) WHERE status = 'open';
CREATE INDEX dependencies_unmet ON dependencies (job_id) WHERE status = 'open';
