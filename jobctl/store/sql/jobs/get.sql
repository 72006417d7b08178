-- One job whole. No row: no such job.
SELECT * FROM jobs WHERE id = ?
