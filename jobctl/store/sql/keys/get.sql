-- The job that a key is bound to, and the digest of the request that bound it.
SELECT job_id, digest FROM keys WHERE uid = ? AND key = ?
