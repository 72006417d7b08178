-- A job's attempts of which a stream lies in a file, with "output_file" and "stderr_file".
SELECT number, output_file, stderr_file FROM attempts
WHERE job_id = ? AND (output_file = 1 OR stderr_file = 1)
