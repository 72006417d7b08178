-- The first schema. STRICT tables; the database itself refuses impossible rows.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row a job. The running attempt lives in it (token, number, started_at); its own row in
-- "attempts" is written once, when it ends.
--
-- "line" is where an unfinished job stands, and the only thing a claim looks at:
--   f/<queue>, c/<queue>  ready: functions, commands
--   l/<queue>             ready: functions with a limit of their own, never in a batch
--   …/<queue>/<task>      ready: those of a task that has limits of its own
--   gate/<task>/<key>     waits until fewer jobs with its key run
--   eta                   waits for its time
--   task/<name>           the plan has no such task
--   schedule/<id>         waits until an earlier job of its schedule is gone
--   after                 waits for other jobs
--   w/<instance>          with a worker
-- What cannot be claimed stands in another line, so a claim reads no row that it cannot take.
--
-- "expires_at" is the latest start of the first attempt, "deadline_at" the latest end of the last one.
--
-- "gate" is the gate (task and key) that a job holds: one that is ready or with a worker counts against the
-- limit of its key. It keeps the name when it ends, and is not counted any more then.
CREATE TABLE jobs (
  id           INTEGER PRIMARY KEY,
  state        TEXT NOT NULL,
  kind         TEXT NOT NULL CHECK (kind IN ('command', 'function', 'limited')),
  task         TEXT,
  queue        TEXT NOT NULL,
  priority     INTEGER NOT NULL DEFAULT 0,
  line         TEXT,
  payload      TEXT NOT NULL,
  overrides    TEXT,
  labels       TEXT,
  uid          INTEGER NOT NULL,
  schedule     INTEGER,
  gate         TEXT,
  unique_key   TEXT,
  submitted_at INTEGER NOT NULL,
  eta          INTEGER,
  expires_at   INTEGER,
  deadline_at  INTEGER,
  reason       TEXT,
  number       INTEGER NOT NULL DEFAULT 0,
  failures     INTEGER NOT NULL DEFAULT 0,
  losses       INTEGER NOT NULL DEFAULT 0,
  token        INTEGER,
  started_at   INTEGER,
  stop_asked   TEXT,
  ran_with     TEXT,
  finished_at  INTEGER,
  -- A CASE, not IN: SQLite builds a table for each longer IN, which cost 4 µs of the 14 that a job
  -- spends in these rows. The states that come most often stand first.
  CHECK (CASE state
    WHEN 'STARTED' THEN line IS NOT NULL AND finished_at IS NULL     AND token IS NOT NULL
    WHEN 'SUCCESS' THEN line IS NULL     AND finished_at IS NOT NULL AND token IS NULL
    WHEN 'PENDING' THEN line IS NOT NULL AND finished_at IS NULL     AND token IS NULL
    WHEN 'FAILURE' THEN line IS NULL     AND finished_at IS NOT NULL AND token IS NULL
    WHEN 'RETRY'   THEN line IS NOT NULL AND finished_at IS NULL     AND token IS NULL
    WHEN 'REVOKED' THEN line IS NULL     AND finished_at IS NOT NULL AND token IS NULL
    ELSE FALSE END)
) STRICT;

-- Every unfinished job, by line and in the order of claims.
CREATE INDEX jobs_line ON jobs (line, priority DESC, id) WHERE line IS NOT NULL;
CREATE INDEX jobs_eta ON jobs (eta) WHERE line = 'eta';
CREATE INDEX jobs_expiry ON jobs (expires_at)
  WHERE expires_at IS NOT NULL AND state IN ('PENDING', 'RETRY');
CREATE INDEX jobs_deadline ON jobs (deadline_at)
  WHERE deadline_at IS NOT NULL AND state IN ('PENDING', 'RETRY');
-- Overlap: the unfinished jobs of a schedule.
CREATE INDEX jobs_schedule ON jobs (schedule) WHERE schedule IS NOT NULL AND line IS NOT NULL;
-- Of the jobs with one "unique_key" one waits or runs.
CREATE UNIQUE INDEX jobs_unique ON jobs (unique_key)
  WHERE unique_key IS NOT NULL AND line IS NOT NULL;
-- The jobs that hold a gate.
CREATE INDEX jobs_gate ON jobs (gate) WHERE gate IS NOT NULL AND line IS NOT NULL;

CREATE TABLE attempts (
  job_id        INTEGER NOT NULL,
  number        INTEGER NOT NULL,
  token         INTEGER NOT NULL,
  worker        TEXT NOT NULL,
  verdict       TEXT NOT NULL CHECK (CASE verdict
                  WHEN 'success' THEN TRUE WHEN 'failure' THEN TRUE WHEN 'timeout' THEN TRUE
                  WHEN 'cancelled' THEN TRUE WHEN 'lost' THEN TRUE WHEN 'released' THEN TRUE
                  ELSE FALSE END),
  claimed_at    INTEGER NOT NULL,
  started_at    INTEGER,
  finished_at   INTEGER NOT NULL,
  exit_code     INTEGER,
  signal        INTEGER,
  result        TEXT,
  error         TEXT,
  user_s        REAL,
  system_s      REAL,
  max_rss_bytes INTEGER,
  peak_memory_bytes INTEGER,
  output        BLOB,
  output_bytes  INTEGER NOT NULL DEFAULT 0,
  output_file   INTEGER NOT NULL DEFAULT 0 CHECK (output_file IN (0, 1)),
  -- Standard error where it is kept apart; "stderr_bytes" is NULL where it is part of the output.
  stderr        BLOB,
  stderr_bytes  INTEGER,
  stderr_file   INTEGER NOT NULL DEFAULT 0 CHECK (stderr_file IN (0, 1)),
  proof         TEXT,
  ran_with      TEXT,
  late          TEXT,
  PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

-- Idempotency: who submitted which key for which job, and a digest of what was asked for.
CREATE TABLE keys (
  uid     INTEGER NOT NULL,
  key     TEXT NOT NULL,
  job_id  INTEGER NOT NULL,
  digest  BLOB NOT NULL,
  PRIMARY KEY (uid, key)
) STRICT, WITHOUT ROWID;

-- Which job waits for which: until its "success" or any "end". "open": not ended yet; "met": it ended like
-- that; "broken": it ended otherwise, and the job that waited was revoked.
CREATE TABLE dependencies (
  job_id INTEGER NOT NULL,
  on_job INTEGER NOT NULL,
  until  TEXT NOT NULL CHECK (until IN ('success', 'end')),
  status TEXT NOT NULL CHECK (status IN ('open', 'met', 'broken')),
  PRIMARY KEY (job_id, on_job),
  CHECK (on_job < job_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependencies_on ON dependencies (on_job);
CREATE INDEX dependencies_open ON dependencies (on_job) WHERE status = 'open';
CREATE INDEX dependencies_unmet ON dependencies (job_id) WHERE status = 'open';

-- What remains of the rate of a queue or a task: the moment up to which what has started uses it up. A row
-- whose moment has passed says nothing any more.
CREATE TABLE rates (
  name       TEXT PRIMARY KEY,
  used_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- "limits" are keys of a [queues.X] table, as JSON, that a command has set in place of those of the file;
-- null: no limit.
CREATE TABLE queues (
  name         TEXT PRIMARY KEY,
  paused_at    INTEGER,
  limits       TEXT
) STRICT, WITHOUT ROWID;

-- "size" are keys of a [workers.X] table, as JSON, that a command has set in place of those of the file.
CREATE TABLE worker_groups (
  name TEXT PRIMARY KEY,
  size TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- "watermark": every instant of the rule in force up to it, bounds included, has its fate. It never moves
-- back while that rule is in force.
-- "rule" is the number of the rule in force; "runs" counts the jobs that its instants made, over all rules
-- that differ in nothing but being enabled.
-- "paused_at": instants make no jobs from then on until "paused_until", or until somebody ends it.
-- "booted" is the boot whose "@reboot" was served last.
-- "pruned_until": fates that lie wholly before it may have been removed.
-- "stored" is the table of a schedule that a command has added, as JSON; "stored_by" is that one's uid.
CREATE TABLE schedules (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  name         TEXT NOT NULL UNIQUE,
  rule         INTEGER NOT NULL DEFAULT 1,
  watermark    INTEGER NOT NULL,
  runs         INTEGER NOT NULL DEFAULT 0,
  paused_at    INTEGER,
  paused_until INTEGER,
  booted       TEXT,
  created_at   INTEGER NOT NULL,
  removed_at   INTEGER,
  pruned_until INTEGER,
  stored       TEXT,
  stored_by    INTEGER,
  stored_at    INTEGER,
  CHECK (paused_until IS NULL OR paused_at IS NOT NULL),
  CHECK ((stored IS NULL) = (stored_by IS NULL) AND (stored IS NULL) = (stored_at IS NULL))
) STRICT;

-- Every rule that a schedule ever had, numbered from 1 in the order in which they were in force. The
-- instants of a rule are those that it gives in (begins_at, ends_at], while it is in force those in
-- (begins_at, watermark of the schedule]. A clock that is set back lets a later rule begin before the
-- earlier one ended: their instants are different ones all the same.
CREATE TABLE rules (
  schedule  INTEGER NOT NULL REFERENCES schedules (id),
  number    INTEGER NOT NULL CHECK (number > 0),
  begins_at INTEGER NOT NULL,
  ends_at   INTEGER,
  identity  TEXT NOT NULL,
  anchor_at INTEGER NOT NULL,
  zone_data TEXT,
  PRIMARY KEY (schedule, number),
  CHECK (begins_at <= ends_at)
) STRICT, WITHOUT ROWID;

-- One instant with its job, or a closed range of instants that share a fate. "rule" is the number of the
-- rule that gave it, "earlier_job" the unfinished job because of which it made none.
CREATE TABLE fires (
  schedule  INTEGER NOT NULL,
  first     INTEGER NOT NULL,
  rule      INTEGER NOT NULL,
  last      INTEGER NOT NULL,
  count     INTEGER NOT NULL CHECK (count > 0),
  fate      TEXT NOT NULL CHECK (fate IN ('submitted', 'skipped', 'missed', 'coalesced', 'held')),
  job_id    INTEGER,
  earlier_job INTEGER CHECK (earlier_job IS NULL OR fate IN ('skipped', 'coalesced')),
  reason    TEXT,
  PRIMARY KEY (schedule, first, rule),
  FOREIGN KEY (schedule, rule) REFERENCES rules (schedule, number),
  CHECK (first <= last),
  CHECK ((fate = 'submitted') = (job_id IS NOT NULL)),
  CHECK (fate <> 'submitted' OR (first = last AND count = 1))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX fires_job ON fires (job_id) WHERE job_id IS NOT NULL;

-- Each daemon that served, oldest first; some of the newest are kept. "stopped_at" is when it made no more
-- jobs: NULL while it runs, and for ever when it was killed.
CREATE TABLE daemons (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  began_at   INTEGER NOT NULL,
  stopped_at INTEGER
) STRICT;
