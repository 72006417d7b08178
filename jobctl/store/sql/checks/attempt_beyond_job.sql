-- I3: attempts are numbered by their job, and the running one has the highest number.
SELECT 'job ' || a.job_id || ' is at attempt ' || j.number || ', and its attempt ' || a.number || ' has ended'
FROM attempts AS a JOIN jobs AS j ON j.id = a.job_id
WHERE a.number > j.number OR (j.state = 'STARTED' AND a.number = j.number)
LIMIT :limit
