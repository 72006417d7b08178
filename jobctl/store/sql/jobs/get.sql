-- One job; a payload over :longest bytes is NULL, and is not read either. No row: no such job.
SELECT id, state, kind, task, queue, priority, line,
       CASE WHEN octet_length(payload) <= :longest THEN payload END AS payload,
       overrides, labels, uid, schedule, submitted_at, eta, expires_at, deadline_at, reason, number, failures,
       losses, token, started_at, stop_asked, ran_with, finished_at
FROM jobs WHERE id = :id
