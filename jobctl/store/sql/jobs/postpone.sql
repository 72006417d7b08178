-- Lets a job that was let go wait for a time. No row changed: it does not wait.
UPDATE jobs SET line = 'eta', eta = :eta, reason = 'waits for its time'
WHERE id = :id AND state = 'PENDING'
