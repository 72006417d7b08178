-- Lets something wait to be told with others of its route; the first one says when. Needs the primary key.
INSERT INTO notices (route, id, due_at, notice) VALUES (
  :route,
  coalesce((SELECT max(id) FROM notices WHERE route = :route), 0) + 1,
  coalesce((SELECT due_at FROM notices WHERE route = :route ORDER BY id LIMIT 1), :due_at),
  :notice
)
