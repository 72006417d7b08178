-- Writes the fate of an instant or of a range of instants.
INSERT INTO fires (schedule, rule, first, last, count, fate, job_id, earlier_job, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
