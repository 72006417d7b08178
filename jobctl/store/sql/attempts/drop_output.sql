-- Forgets what a job's attempts wrote, or one of them; how much it was stays. Needs the primary key.
-- No row changes: there is none, or nothing of its output is kept.
UPDATE attempts SET output = NULL, output_file = 0, stderr = NULL, stderr_file = 0
WHERE job_id = :job_id AND (:number IS NULL OR number = :number)
  AND (output IS NOT NULL OR output_file = 1 OR stderr IS NOT NULL OR stderr_file = 1)
