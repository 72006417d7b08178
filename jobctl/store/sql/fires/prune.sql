-- Removes up to :limit fates of a schedule that lie wholly before :before.
DELETE FROM fires WHERE (schedule, first) IN
  (SELECT schedule, first FROM fires WHERE schedule = :schedule AND last < :before
   ORDER BY first LIMIT :limit)
