-- Keeps the outcome that came after its attempt had been recorded; it changes nothing.
UPDATE attempts SET late = :late WHERE job_id = :job_id AND token = :token AND late IS NULL
