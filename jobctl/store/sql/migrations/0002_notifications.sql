-- What is told to people: how tasks fare, as far as somebody is told of it, and what waits to be told together.

-- A task that fails, as one route of [notify] knows it: failures in a row, how many of them were not told since
-- "told_at" (NULL: none was told yet), and the message to which the following ones belong. Gone with the next
-- success.
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

-- What a route gathers until it tells all of it in one message.
CREATE TABLE notices (
  route  TEXT NOT NULL,
  id     INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  notice TEXT NOT NULL,
  PRIMARY KEY (route, id)
) STRICT, WITHOUT ROWID;
