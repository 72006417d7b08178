-- I7: a job is SUCCESS because its newest attempt succeeded.
SELECT 'job ' || j.id || ' is SUCCESS, and its attempt ' || j.number || ' is ' || coalesce(a.verdict, 'not there')
FROM jobs AS j LEFT JOIN attempts AS a ON a.job_id = j.id AND a.number = j.number
WHERE j.state = 'SUCCESS' AND a.verdict IS NOT 'success'
LIMIT :limit
