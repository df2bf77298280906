"""The team's code: the task and its prompt."""
