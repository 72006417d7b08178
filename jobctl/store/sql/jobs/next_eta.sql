-- The earliest moment at which a waiting job becomes ready. Needs jobs_eta.
SELECT min(eta) FROM jobs INDEXED BY jobs_eta WHERE line = 'eta'
