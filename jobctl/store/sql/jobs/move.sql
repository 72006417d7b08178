-- Brings a waiting job from the line it stands in to another. No state changes. Changes nothing when it
-- has left that line.
UPDATE jobs SET line = ?, queue = ?, reason = ? WHERE id = ? AND line = ?
