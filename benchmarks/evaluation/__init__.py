"""The cost of an evaluation: asking a thousand cases, and judging twenty thousand records."""
