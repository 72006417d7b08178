-- Lets the jobs that waited for an earlier one of their schedule stand in their ready lines, if no
-- other job of the schedule is unfinished. Needs jobs_schedule. No state changes.
UPDATE jobs
SET line = substr(kind, 1, 1) || '/' || queue, reason = NULL
WHERE id IN (SELECT id FROM jobs WHERE schedule = :schedule AND line = 'schedule/' || :schedule)
  AND NOT EXISTS (SELECT 1 FROM jobs
                  WHERE schedule = :schedule AND line IS NOT NULL
                    AND line <> 'schedule/' || :schedule)
RETURNING id, kind, line, task, queue, overrides, gate, priority
