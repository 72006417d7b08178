-- One workflow. No row: there is none with this id.
SELECT id, uid, shape, submitted_at FROM workflows WHERE id = ?
