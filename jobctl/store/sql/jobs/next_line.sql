-- The first line after :after and before :below in which jobs stand. Needs jobs_line. No row: there is none.
SELECT line FROM jobs WHERE line > :after AND line < :below ORDER BY line LIMIT 1
