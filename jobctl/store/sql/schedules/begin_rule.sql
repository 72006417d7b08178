-- Notes that the next rule of a schedule is in force, from :begins_at on.
UPDATE schedules SET rule = rule + 1, watermark = :begins_at, runs = :runs WHERE id = :id
