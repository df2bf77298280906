"""What the template and its chassis cost, side by side with what they are made of; `python -m benchmarks`."""
