-- Removes the rules of a schedule that ended before :before and have no fates any more.
DELETE FROM rules
WHERE schedule = :schedule AND ends_at < :before AND NOT EXISTS
  (SELECT 1 FROM fires AS f WHERE f.schedule = rules.schedule AND f.rule = rules.number)
