-- Forgets what the attempts of a job have returned. Needs the primary key. No row changes: there is none, or
-- no result of it is kept.
UPDATE attempts SET result = NULL WHERE job_id = :job_id AND result IS NOT NULL
