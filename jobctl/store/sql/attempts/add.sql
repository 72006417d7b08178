-- Writes an attempt's row, once, when it has ended; in the transaction that changes its job.
INSERT INTO attempts (job_id, number, token, worker, verdict, claimed_at, started_at, finished_at,
                      exit_code, signal, result, error, user_s, system_s, max_rss_bytes,
                      peak_memory_bytes, output, output_bytes, output_file, stderr, stderr_bytes, stderr_file, proof, ran_with)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
