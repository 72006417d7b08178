-- Notes that fates wholly before :before may be gone.
UPDATE schedules SET pruned_until = max(coalesce(pruned_until, :before), :before) WHERE id = :id
