-- Every job with a worker, by worker and in the order of claims. Needs jobs_line.
SELECT id, token, number, line, started_at, task, kind, overrides, failures, losses, stop_asked,
       ran_with, gate, deadline_at
FROM jobs WHERE line >= 'w/' AND line < 'w0' ORDER BY line, priority DESC, id
