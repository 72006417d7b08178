-- Removes up to :limit ended jobs above :after that ended before :before; oldest ids first.
DELETE FROM jobs
WHERE id IN (SELECT id FROM jobs WHERE id > :after AND id <= :until AND line IS NULL
             AND finished_at < :before ORDER BY id LIMIT :limit)
RETURNING id
