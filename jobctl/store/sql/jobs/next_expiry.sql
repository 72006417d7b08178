-- The earliest moment at which a waiting job expires that had no attempt yet. Needs jobs_expiry.
SELECT min(expires_at) FROM jobs
WHERE expires_at IS NOT NULL AND state IN ('PENDING', 'RETRY') AND number = 0
