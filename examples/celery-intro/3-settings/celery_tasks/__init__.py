"""A package of tasks."""
