-- Adds a workflow.
INSERT INTO workflows (id, uid, shape, submitted_at) VALUES (?, ?, ?, ?)
