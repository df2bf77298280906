"""The team's own part: the task, its words, and the search in the documents."""
