-- A store of schema 5 with a row of every kind. Made by keep_store.py, and kept.

PRAGMA page_size=4096;

BEGIN TRANSACTION;

DROP TABLE IF EXISTS attempts;
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
INSERT INTO attempts VALUES(3,1,33,'w1','timeout',1800000000000000,1800000000000000,1800000000000005,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,0,NULL,'{"argv":["/bin/true"]}',NULL);
INSERT INTO attempts VALUES(4,1,44,'w1','success',1800000000000000,1800000000000000,1800000000000005,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F606162636465666768696A6B6C6D6E6F707172737475767778797A7B7C7D7E7F808182838485868788898A8B8C8D8E8F909192939495969798999A9B9C9D9E9FA0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBFC0C1C2C3C4C5C6C7C8C9CACBCCCDCECFD0D1D2D3D4D5D6D7D8D9DADBDCDDDEDFE0E1E2E3E4E5E6E7E8E9EAEBECEDEEEFF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF',256,0,NULL,NULL,0,NULL,'{"argv":["/bin/true"]}',NULL);
INSERT INTO attempts VALUES(5,1,55,'w1','failure',1800000000000000,1800000000000000,1800000000000005,NULL,9,NULL,'{"type":"K","message":"m","traceback":""}',NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,0,NULL,'{"argv":["/bin/true"]}',NULL);
INSERT INTO attempts VALUES(6,1,66,'w1','cancelled',1800000000000000,1800000000000000,1800000000000005,NULL,15,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,X'65',1,0,NULL,'{"argv":["/bin/true"]}',NULL);
INSERT INTO attempts VALUES(10,1,110,'w1','success',1800000000000000,1800000000000000,1800000000000005,NULL,NULL,'{"x":[1]}',NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,NULL,0,NULL,'{"argv":["/bin/true"]}',NULL);

DROP TABLE IF EXISTS changes;
CREATE TABLE changes (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  uid     INTEGER NOT NULL,
  request TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail  TEXT NOT NULL
) STRICT;
INSERT INTO changes VALUES(1,1800000000000000,1000,'cancel','6','signal=INT');

DROP TABLE IF EXISTS daemons;
CREATE TABLE daemons (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  began_at   INTEGER NOT NULL,
  stopped_at INTEGER
) STRICT;

DROP TABLE IF EXISTS dependencies;
CREATE TABLE "dependencies" (
  job_id INTEGER NOT NULL,
  on_job INTEGER NOT NULL,
  until  TEXT NOT NULL CHECK (until IN ('success', 'end')),
  status TEXT NOT NULL CHECK (status IN ('open', 'met', 'broken')),
  PRIMARY KEY (job_id, on_job),
  CHECK (on_job <> job_id)
) STRICT, WITHOUT ROWID;
INSERT INTO dependencies VALUES(15,1,'success','open');
INSERT INTO dependencies VALUES(15,4,'end','met');
CREATE INDEX dependencies_on ON dependencies (on_job);
CREATE INDEX dependencies_open ON dependencies (on_job) WHERE status = 'open';
CREATE INDEX dependencies_unmet ON dependencies (job_id) WHERE status = 'open';

DROP TABLE IF EXISTS fires;
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
INSERT INTO fires VALUES(1,1800003600000000,1,1800003600000000,1,'submitted',4,NULL,NULL);
INSERT INTO fires VALUES(1,1800007200000000,2,1800007200000000,1,'skipped',NULL,NULL,NULL);
CREATE UNIQUE INDEX fires_job ON fires (job_id) WHERE job_id IS NOT NULL;

DROP TABLE IF EXISTS jobs;
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
INSERT INTO jobs VALUES(1,'PENDING','command','backup','default',0,'c/default','{"args":[],"kwargs":{}}',NULL,NULL,0,NULL,NULL,NULL,1800000000000000,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO jobs VALUES(2,'STARTED','command','backup','default',0,'w/w1','{"args":[],"kwargs":{}}',NULL,NULL,0,NULL,NULL,NULL,1800000000000000,NULL,NULL,NULL,NULL,1,0,0,22,1800000000000000,NULL,NULL,NULL);
INSERT INTO jobs VALUES(3,'RETRY','command','backup','default',0,'eta','{"args":[],"kwargs":{}}',NULL,NULL,0,NULL,NULL,NULL,1800000000000000,1800000000000000,NULL,NULL,'failed',1,1,0,NULL,1800000000000000,NULL,NULL,NULL);
INSERT INTO jobs VALUES(4,'SUCCESS','command','backup','default',0,NULL,'{"args":[],"kwargs":{}}',NULL,NULL,0,NULL,NULL,NULL,1800000000000000,NULL,NULL,NULL,NULL,1,0,0,NULL,1800000000000000,NULL,NULL,1800000000000000);
INSERT INTO jobs VALUES(5,'FAILURE','command','backup','default',0,NULL,'{"args":[],"kwargs":{}}',NULL,NULL,0,NULL,NULL,NULL,1800000000000000,NULL,NULL,NULL,'failed',1,1,0,NULL,1800000000000000,NULL,NULL,1800000000000000);
INSERT INTO jobs VALUES(6,'REVOKED','command','backup','default',0,NULL,'{"args":[],"kwargs":{}}',NULL,NULL,0,NULL,NULL,NULL,1800000000000000,NULL,NULL,NULL,'cancelled',0,0,0,NULL,NULL,NULL,NULL,1800000000000000);
INSERT INTO jobs VALUES(7,'PENDING','command','backup','default',0,'eta','{"args":[],"kwargs":{}}',NULL,NULL,0,NULL,NULL,NULL,1800000000000000,1800003600000000,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO jobs VALUES(8,'PENDING','command','gone','default',0,'task/gone','{"args":[],"kwargs":{}}',NULL,NULL,0,NULL,NULL,NULL,1800000000000000,NULL,NULL,NULL,'no such task',0,0,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO jobs VALUES(9,'PENDING','limited','f','default',0,'l/default','{"args":[],"kwargs":{}}',NULL,NULL,0,NULL,NULL,NULL,1800000000000000,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO jobs VALUES(10,'SUCCESS','function','backup','default',0,NULL,'{"args":[1,"é"],"kwargs":{"a":null}}',NULL,NULL,0,NULL,NULL,NULL,1800000000000000,NULL,NULL,NULL,NULL,1,0,0,NULL,1800000000000000,NULL,NULL,1800000000000000);
INSERT INTO jobs VALUES(11,'PENDING','command','backup','default',0,'schedule/1','{"args":[],"kwargs":{}}',NULL,NULL,0,1,NULL,NULL,1800000000000000,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO jobs VALUES(12,'PENDING','command','backup','other',-5,'c/other','{"args":[],"kwargs":{}}','{"retries":2,"queue":"other"}','{"a":"b"}',1000,NULL,NULL,NULL,1800000000000000,NULL,1800003600000000,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO jobs VALUES(13,'PENDING','command','sync','default',0,'gate/sync/acme','{"args":[],"kwargs":{}}',NULL,NULL,0,NULL,NULL,'key/sync/1',1800000000000000,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO jobs VALUES(14,'PENDING','command','sync','default',0,'c/default/sync','{"args":[],"kwargs":{}}',NULL,NULL,0,NULL,'sync/acme',NULL,1800000000000000,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO jobs VALUES(15,'PENDING','command','backup','default',0,'after','{"args":[],"kwargs":{}}',NULL,NULL,0,NULL,NULL,NULL,1800000000000000,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,NULL,NULL);
CREATE INDEX jobs_deadline ON jobs (deadline_at)
  WHERE deadline_at IS NOT NULL AND state IN ('PENDING', 'RETRY');
CREATE INDEX jobs_eta ON jobs (eta) WHERE line = 'eta';
CREATE INDEX jobs_expiry ON jobs (expires_at)
  WHERE expires_at IS NOT NULL AND state IN ('PENDING', 'RETRY');
CREATE INDEX jobs_gate ON jobs (gate) WHERE gate IS NOT NULL AND line IS NOT NULL;
CREATE INDEX jobs_line ON jobs (line, priority DESC, id) WHERE line IS NOT NULL;
CREATE INDEX jobs_schedule ON jobs (schedule) WHERE schedule IS NOT NULL AND line IS NOT NULL;
CREATE UNIQUE INDEX jobs_unique ON jobs (unique_key)
  WHERE unique_key IS NOT NULL AND line IS NOT NULL;

DROP TABLE IF EXISTS keys;
CREATE TABLE keys (
  uid     INTEGER NOT NULL,
  key     TEXT NOT NULL,
  job_id  INTEGER NOT NULL,
  digest  BLOB NOT NULL,
  PRIMARY KEY (uid, key)
) STRICT, WITHOUT ROWID;
INSERT INTO keys VALUES(0,'k1',1,X'00000000000000000000000000000000');

DROP TABLE IF EXISTS lates;
CREATE TABLE lates (
  due_at     INTEGER NOT NULL,
  job_id     INTEGER NOT NULL,
  route      TEXT NOT NULL,
  instant_at INTEGER NOT NULL,
  PRIMARY KEY (due_at, job_id, route)
) STRICT, WITHOUT ROWID;
INSERT INTO lates VALUES(1800003600000000,1,'ops',1800000000000000);

DROP TABLE IF EXISTS meta;
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES('highest_id','40');
INSERT INTO meta VALUES('state_id','0123abcd');

DROP TABLE IF EXISTS notices;
CREATE TABLE notices (
  route  TEXT NOT NULL,
  id     INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  notice TEXT NOT NULL,
  PRIMARY KEY (route, id)
) STRICT, WITHOUT ROWID;
INSERT INTO notices VALUES('ops',1,1800003600000000,'{"event":"failure"}');

DROP TABLE IF EXISTS queues;
CREATE TABLE queues (
  name         TEXT PRIMARY KEY,
  paused_at    INTEGER,
  limits       TEXT
) STRICT, WITHOUT ROWID;
INSERT INTO queues VALUES('other',1800000000000000,NULL);

DROP TABLE IF EXISTS rates;
CREATE TABLE rates (
  name       TEXT PRIMARY KEY,
  used_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS rules;
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
INSERT INTO rules VALUES(1,1,1800000000000000,1800003600000000,'{"kind":"interval","expression":"1h","timezone":"UTC"}',1800000000000000,NULL);
INSERT INTO rules VALUES(1,2,1800003600000000,NULL,'{"kind":"crontab","expression":"0 * * * *","timezone":"UTC","max_runs":9}',1800000000000000,'0123456789abcdef');
INSERT INTO rules VALUES(2,1,1800000000000000,NULL,'{"kind":"interval","expression":"1h","timezone":"UTC"}',1800000000000000,NULL);

DROP TABLE IF EXISTS schedules;
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
INSERT INTO schedules VALUES(1,'backup',2,1800007200000000,1,NULL,NULL,NULL,1800000000000000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO schedules VALUES(2,'added',1,1800000000000000,0,1800003600000000,1800018000000000,'boot',1800000000000000,NULL,1800000000000000,'{"task":"backup","every":"1h"}',1000,1800000000000000);

DROP TABLE IF EXISTS steps;
CREATE TABLE steps (
  job_id   INTEGER PRIMARY KEY,
  workflow INTEGER NOT NULL,
  takes    TEXT,
  delay_s  REAL,
  on_error TEXT,
  joins    INTEGER NOT NULL DEFAULT 0 CHECK (joins IN (0, 1)),
  gathers  INTEGER NOT NULL DEFAULT 0 CHECK (gathers IN (0, 1))
) STRICT;
INSERT INTO steps VALUES(4,39,NULL,NULL,NULL,0,0);
INSERT INTO steps VALUES(15,39,'4',1.5,'[{"task":"a"}]',1,0);
CREATE INDEX steps_workflow ON steps (workflow, job_id);

DROP TABLE IF EXISTS troubles;
CREATE TABLE troubles (
  task     TEXT NOT NULL,
  route    TEXT NOT NULL,
  failures INTEGER NOT NULL CHECK (failures > 0),
  untold   INTEGER NOT NULL CHECK (untold >= 0),
  told_at  INTEGER,
  thread   TEXT,
  PRIMARY KEY (task, route),
  CHECK ((told_at IS NULL) = (thread IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO troubles VALUES('backup','ops',3,1,1800000000000000,'<first@host>');

DROP TABLE IF EXISTS worker_groups;
CREATE TABLE worker_groups (
  name TEXT PRIMARY KEY,
  size TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO worker_groups VALUES('default','{"processes":3,"commands":8}');

DROP TABLE IF EXISTS workflows;
CREATE TABLE workflows (
  id           INTEGER PRIMARY KEY,
  uid          INTEGER NOT NULL,
  shape        TEXT NOT NULL,
  submitted_at INTEGER NOT NULL
) STRICT;
INSERT INTO workflows VALUES(39,0,'["chain",4,15]',1800000000000000);

DELETE FROM main.sqlite_sequence WHERE name='changes';
INSERT INTO main.sqlite_sequence VALUES ('changes', 1);
DELETE FROM main.sqlite_sequence WHERE name='schedules';
INSERT INTO main.sqlite_sequence VALUES ('schedules', 2);

pragma user_version=5;
pragma application_id=1785684579;

COMMIT TRANSACTION;
