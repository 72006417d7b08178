-- Brings a waiting job from the line it stands in to another, with or without the gate that it holds then.
-- No state changes. Changes nothing when it has left that line.
UPDATE jobs SET line = ?, queue = ?, reason = ?, gate = ? WHERE id = ? AND line = ?
