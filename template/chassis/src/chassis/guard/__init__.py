"""Everything between the team's function and a vendor: `chain.py` shows the order, each step is a file of its own."""
