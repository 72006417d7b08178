-- Forgets what waits with a route.
DELETE FROM notices WHERE route = :route
