-- Who has changed what: the audit trail. "request" is its name on the wire, "subject" what it was about, "detail"
-- what else it said, without anything that may be secret.
CREATE TABLE changes (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  uid     INTEGER NOT NULL,
  request TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail  TEXT NOT NULL
) STRICT;
