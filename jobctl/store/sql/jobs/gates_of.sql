-- The gates of some jobs, given as a JSON list of ids; a gate may come more than once. Needs the primary key.
SELECT gate FROM jobs WHERE id IN (SELECT value FROM json_each(?)) AND gate IS NOT NULL
