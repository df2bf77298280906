"""The team's code: the task, its prompts, and the search in the documents."""
