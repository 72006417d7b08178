-- One attempt of a job: the one with a :number, or with NULL the newest. No row: it has not ended.
-- A text over :longest bytes is NULL, and is not read from the disk either.
SELECT job_id, number, token, worker, verdict, claimed_at, started_at, finished_at, exit_code, signal,
       CASE WHEN octet_length(result) <= :longest THEN result END AS result,
       octet_length(result) AS result_bytes,
       CASE WHEN octet_length(error) <= :longest THEN error END AS error,
       octet_length(error) AS error_bytes,
       user_s, system_s, max_rss_bytes, peak_memory_bytes, output, output_bytes, output_file,
       stderr, stderr_bytes, stderr_file, proof,
       CASE WHEN octet_length(ran_with) <= :longest THEN ran_with END AS ran_with,
       CASE WHEN octet_length(late) <= :longest THEN late END AS late
FROM attempts WHERE job_id = :job_id AND (:number IS NULL OR number = :number)
ORDER BY number DESC LIMIT 1
