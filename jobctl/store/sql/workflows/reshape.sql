-- Says anew how the jobs of a workflow belong together.
UPDATE workflows SET shape = :shape WHERE id = :id
