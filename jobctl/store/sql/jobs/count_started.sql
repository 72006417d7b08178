-- How many jobs of each queue are with workers.
SELECT queue, count(*) FROM jobs WHERE line >= 'w/' AND line < 'w0' GROUP BY queue
