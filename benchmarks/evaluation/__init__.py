"""What it costs to evaluate: asking a thousand cases, and judging twenty thousand records."""
