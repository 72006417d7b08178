-- Notes that a daemon serves.
INSERT INTO daemons (began_at) VALUES (:now) RETURNING id
