-- Adds :count instants up to :last to the range that begins at :first: the newest of its rule.
UPDATE fires SET last = :last, count = count + :count
WHERE schedule = :schedule AND first = :first AND rule = :rule AND last < :last
