-- The numbers of a job's attempts whose output lies in a file.
SELECT number FROM attempts WHERE job_id = ? AND output_file = 1
