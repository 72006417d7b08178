-- Gives a job that waits its arguments anew. No row changed: it does not wait.
UPDATE jobs SET payload = :payload WHERE id = :id AND state = 'PENDING'
