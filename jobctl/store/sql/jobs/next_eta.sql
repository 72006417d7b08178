-- The earliest moment at which a waiting job becomes ready. Needs jobs_eta.
SELECT min(eta) FROM jobs WHERE line = 'eta'
