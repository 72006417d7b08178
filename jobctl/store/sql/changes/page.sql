-- Changes before a number, newest first. No rows: there are no more.
SELECT id, at, uid, request, subject, detail FROM changes
WHERE id < :before ORDER BY id DESC LIMIT :limit
