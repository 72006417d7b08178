-- Binds a key to a job. No row: the key is bound already, and nothing was changed.
INSERT INTO keys (uid, key, job_id, digest) VALUES (?, ?, ?, ?)
ON CONFLICT DO NOTHING RETURNING job_id
