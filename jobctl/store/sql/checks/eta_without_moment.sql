-- I2: a job that waits for its time has one.
SELECT 'job ' || id || ' waits for its time and has none'
FROM jobs
WHERE line = 'eta' AND eta IS NULL
LIMIT :limit
