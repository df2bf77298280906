"""The files that follow from the team's decisions. One more is one function here and one line in `registry`."""
