"""Everything between the team's function and a vendor: `pipeline.py` is the list of steps, each in its own file."""
