-- Up to :limit workflows older than :before, newest first; of one submitter, or with NULL of all.
SELECT id, uid, shape, submitted_at FROM workflows
WHERE id < :before AND (:uid IS NULL OR uid = :uid) ORDER BY id DESC LIMIT :limit
