-- Every task that fails and the routes that know of it. As many rows as there are such tasks and routes.
SELECT task, route, failures, untold, told_at, thread FROM troubles
