-- The jobs that wait for their time, soonest first. Needs jobs_eta.
-- A payload over :longest bytes is NULL, and is not read either.
SELECT id, state, kind, task, queue, priority, line,
       CASE WHEN octet_length(payload) <= :longest THEN payload END AS payload,
       overrides, labels, uid, schedule, submitted_at, eta, expires_at, deadline_at, reason, number, failures,
       losses, token, started_at, stop_asked, ran_with, finished_at
FROM jobs INDEXED BY jobs_eta WHERE line = 'eta' ORDER BY eta LIMIT :limit
