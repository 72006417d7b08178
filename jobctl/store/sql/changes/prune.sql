-- Forgets the oldest changes, up to a number. No row changes: there are no more than are kept.
DELETE FROM changes WHERE id <= ?
