-- The job with a unique key that waits or runs. Needs jobs_unique. No row: there is none.
SELECT id, state FROM jobs WHERE unique_key = ? AND line IS NOT NULL
