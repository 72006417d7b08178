-- Forgets workflows, given as a JSON list of ids, of which no job is left. Needs steps_workflow.
DELETE FROM workflows
WHERE id IN (SELECT value FROM json_each(?))
  AND NOT EXISTS (SELECT 1 FROM steps WHERE workflow = workflows.id)
