-- Lets a running job hold another gate, or none: the plan has changed what its key is. No state changes.
UPDATE jobs SET gate = ? WHERE id = ? AND state = 'STARTED'
