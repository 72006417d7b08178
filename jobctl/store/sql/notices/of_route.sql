-- The first :limit things that wait with a route, oldest first, each with how many wait.
SELECT notice, (SELECT count(*) FROM notices WHERE route = :route) FROM notices WHERE route = :route
ORDER BY id LIMIT :limit
