"""Sign-offs, and the files that are derived from the team's decisions."""
