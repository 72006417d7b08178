-- The gate that a job holds, or held until it ended. No row: no such job.
SELECT gate FROM jobs WHERE id = ?
