-- Ends a rule: it is in force no longer.
UPDATE rules SET ends_at = :ends_at
WHERE schedule = :schedule AND number = :number AND ends_at IS NULL
