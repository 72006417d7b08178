-- The jobs that hold a gate: ready, or with a worker. Needs jobs_gate. No rows: nothing does.
SELECT id, kind, line, task, queue, overrides, gate, priority FROM jobs
WHERE gate = ? AND line IS NOT NULL
