-- Removes keys of a slice whose job is gone or ended before :before. Walks the primary key;
-- :uid and :key are the last of the slice before.
DELETE FROM keys
WHERE (uid, key) IN (
  SELECT k.uid, k.key FROM keys AS k LEFT JOIN jobs AS j ON j.id = k.job_id
  WHERE (k.uid, k.key) > (:uid, :key) AND (k.uid, k.key) <= (:until_uid, :until_key)
    AND (j.id IS NULL OR j.finished_at < :before))
