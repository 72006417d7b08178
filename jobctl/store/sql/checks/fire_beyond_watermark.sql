-- I6: what the rule in force has given lies up to the watermark.
SELECT 'schedule ' || f.schedule || ': the instant ' || f.last || ' has a fate, and the watermark is ' || s.watermark
FROM fires AS f JOIN schedules AS s ON s.id = f.schedule AND s.rule = f.rule
WHERE f.last > s.watermark
LIMIT :limit
