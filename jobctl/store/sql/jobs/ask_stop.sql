-- Remembers that a running attempt shall be stopped, so that the next daemon stops it too.
-- No row: the job is not running.
UPDATE jobs SET stop_asked = :reason WHERE id = :id AND state = 'STARTED'
RETURNING token, line
