-- The end of the next slice of keys after (:uid, :key). No row: the walk is over.
SELECT uid, key FROM keys WHERE (uid, key) > (:uid, :key) ORDER BY uid, key LIMIT 1 OFFSET :skip
