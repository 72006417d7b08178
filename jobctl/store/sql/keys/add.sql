-- Binds a key to a job. No row changed: the key is bound already.
INSERT INTO keys (uid, key, job_id, digest) VALUES (?, ?, ?, ?)
ON CONFLICT DO NOTHING
