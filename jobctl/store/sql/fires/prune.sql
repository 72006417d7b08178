-- Removes up to :limit fates of a schedule that lie wholly before :before. Needs the primary key: the
-- bound on "first" keeps it from walking through what is kept.
DELETE FROM fires WHERE (schedule, first, rule) IN
  (SELECT schedule, first, rule FROM fires
   WHERE schedule = :schedule AND first < :before AND last < :before
   ORDER BY first LIMIT :limit)
