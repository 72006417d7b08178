-- Those of some schedules (a JSON list) that have an unfinished job. Needs jobs_schedule.
SELECT value FROM json_each(?) AS asked
WHERE EXISTS (SELECT 1 FROM jobs WHERE schedule = asked.value AND line IS NOT NULL)
