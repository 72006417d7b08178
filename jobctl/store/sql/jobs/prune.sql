-- Removes one job that has ended. Changes nothing when it has not, or not any more.
DELETE FROM jobs WHERE id = ? AND line IS NULL
