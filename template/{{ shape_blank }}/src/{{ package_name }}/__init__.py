"""The team's own part: the task and its words."""
