-- I2: a job is with a worker exactly while it is STARTED.
SELECT 'job ' || id || ' is ' || state || ' and stands in the line "' || line || '"'
FROM jobs
WHERE line IS NOT NULL AND (state = 'STARTED') <> (substr(line, 1, 2) = 'w/')
LIMIT :limit
