-- Ends the rules that are followed by another one already: at the watermark that they have reached.
UPDATE rules SET ends_at = (SELECT s.watermark FROM schedules AS s WHERE s.id = rules.schedule)
WHERE ends_at IS NULL AND EXISTS
  (SELECT 1 FROM rules AS n WHERE n.schedule = rules.schedule AND n.number = rules.number + 1)
