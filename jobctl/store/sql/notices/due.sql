-- When each route tells what waits with it.
SELECT route, min(due_at) FROM notices GROUP BY route
