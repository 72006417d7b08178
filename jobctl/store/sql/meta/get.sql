-- A remembered value. No row: never set.
SELECT value FROM meta WHERE name = ?
